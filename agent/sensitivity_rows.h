// What trial 0 measured of single choices.
#ifndef LATHE_AGENT_SENSITIVITY_ROWS_H_
#define LATHE_AGENT_SENSITIVITY_ROWS_H_

#include <vector>

#include "agent/archive.h"
#include "agent/search_core.h"

namespace lathe {

// AgentContext.sensitivity as plans that change one decision, with their
// divergence and nothing else that was measured. Entries that are not of the
// space are left out.
std::vector<Evaluated> SensitivityRows(const SearchCore& core);

}  // namespace lathe

#endif  // LATHE_AGENT_SENSITIVITY_ROWS_H_

// The trials of a sensitivity table, one single change each.
#ifndef LATHE_AGENT_SINGLE_PROBES_H_
#define LATHE_AGENT_SINGLE_PROBES_H_

#include <optional>

#include "agent/search_core.h"
#include "agent/sensitivity_table.h"

namespace lathe {

// The change by which `choices` differs from the uncompressed model, if it is
// one.
std::optional<SingleChange> AsSingleChange(const Choices& choices);

// Not thread-safe.
class SingleProbes {
 public:
  // At most `share` of the job's trials, at least one. `core` must outlive
  // this.
  SingleProbes(const SearchCore* core, double share);

  // The most useful single change that is not known yet; nothing when there is
  // none or the share is spent. Probes are no answers, and so they may exceed
  // the job's budget.
  std::optional<Choices> Next();

 private:
  const SearchCore& core_;
  size_t left_;
};

}  // namespace lathe

#endif  // LATHE_AGENT_SINGLE_PROBES_H_

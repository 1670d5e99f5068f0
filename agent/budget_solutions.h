// What solving for many budgets gives.
#ifndef LATHE_AGENT_BUDGET_SOLUTIONS_H_
#define LATHE_AGENT_BUDGET_SOLUTIONS_H_

#include <optional>

#include "absl/functional/function_ref.h"
#include "agent/accuracy_curve.h"
#include "agent/archive.h"
#include "agent/random.h"
#include "agent/search_core.h"

namespace lathe {

// Solves for `budgets` budgets drawn anew. Of the solutions, or unknown plans
// beside those that are known, the one that gains most volume under the
// archive's frontier, by the divergence that it is believed to have, nats.
// Nothing when every plan is known, or there is nothing to choose.
std::optional<Choices> MostGainingSolution(
    const SearchCore& core, const Archive& archive, const AccuracyCurve& curve,
    int budgets, absl::FunctionRef<Choices(const Limits&)> solve,
    absl::FunctionRef<double(const Choices&)> divergence_of, Random* random);

}  // namespace lathe

#endif  // LATHE_AGENT_BUDGET_SOLUTIONS_H_

// The policy's answer for a budget, without a measurement.
#ifndef LATHE_AGENT_POLICY_ANSWER_H_
#define LATHE_AGENT_POLICY_ANSWER_H_

#include <vector>

#include "absl/status/statusor.h"
#include "agent/archive.h"
#include "agent/divergence_model.h"
#include "agent/policy.h"
#include "agent/random.h"
#include "agent/search_core.h"

namespace lathe {

// Of what `policy` (null: nothing) and the solver say for the prior's budget
// and of the archive's elites, the plan within the budget, as predicted, that
// `model` believes to diverge least.
//
// Errors:
//   FailedPrecondition - no such plan; the message names the least latency and
//     size that can be reached.
absl::StatusOr<Choices> AnswerWithin(const SearchCore& core,
                                     const Archive& archive,
                                     const DivergenceModel& model,
                                     const Policy* policy,
                                     const BudgetPrior& prior, Random* random);

}  // namespace lathe

#endif  // LATHE_AGENT_POLICY_ANSWER_H_

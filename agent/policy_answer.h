// The answer for a budget that nobody asked for, without a measurement.
#ifndef LATHE_AGENT_POLICY_ANSWER_H_
#define LATHE_AGENT_POLICY_ANSWER_H_

#include <optional>

#include "absl/status/statusor.h"
#include "agent/accuracy_curve.h"
#include "agent/archive.h"
#include "agent/divergence_model.h"
#include "agent/policy.h"
#include "agent/random.h"
#include "agent/search_core.h"

namespace lathe {

// What an answer is made from; all must outlive the call.
struct AnswerParts {
  const SearchCore* core = nullptr;
  const Archive* archive = nullptr;
  const DivergenceModel* model = nullptr;
  const AccuracyCurve* curve = nullptr;
  // Null: nothing is drawn from it.
  const Policy* policy = nullptr;
};

struct BudgetAnswer {
  Choices plan;
  // Share of the baseline's latency, where the plan was measured before.
  std::optional<double> measured_latency_ratio;
};

// The plan whose expected worth within the prior's budget is largest: of what
// was measured within it, and of what the solver and the policy say, children
// of elites, and single changes of the best of those. A plan that was not
// measured counts for what the model believes of its divergence, a little
// cautiously, times the chance that its latency and size, whose predictions
// scatter, will be within the budget.
//
// Errors:
//   FailedPrecondition - no plan is within the budget, measured or predicted;
//     the message names the least latency and size that can be reached.
absl::StatusOr<BudgetAnswer> AnswerWithin(const AnswerParts& parts,
                                          const BudgetPrior& prior,
                                          Random* random);

}  // namespace lathe

#endif  // LATHE_AGENT_POLICY_ANSWER_H_

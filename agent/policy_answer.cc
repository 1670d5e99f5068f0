#include "agent/policy_answer.h"

#include <utility>

#include "absl/strings/str_format.h"

namespace lathe {

absl::StatusOr<Choices> AnswerWithin(const SearchCore& core,
                                     const Archive& archive,
                                     const DivergenceModel& model,
                                     const Policy* policy,
                                     const BudgetPrior& prior, Random* random) {
  constexpr int kDrawn = 48;
  std::vector<Choices> plans = {prior.solved};
  if (policy != nullptr) {
    plans.push_back(policy->Likeliest(prior));
    for (Choices& plan : policy->Draw(prior, kDrawn, random)) {
      plans.push_back(std::move(plan));
    }
  }
  // What exceeds the budget least, if anything does.
  PrefixWalker walker(&core.reachability());
  while (!walker.is_complete()) {
    walker.Push(walker.LeastExceeding(prior.limits));
  }
  plans.push_back(walker.choices());
  for (const int i : archive.elites()) {
    plans.push_back(archive.rows()[i].choices);
  }
  const auto predictions = model.Predict(plans);
  const Choices* best = nullptr;
  double least = 0;
  for (size_t i = 0; i < plans.size(); ++i) {
    if (!core.IsWithin(plans[i], prior.limits)) continue;
    if (best != nullptr && predictions[i].Mean() >= least) continue;
    least = predictions[i].Mean();
    best = &plans[i];
  }
  if (best != nullptr) return *best;
  return absl::FailedPreconditionError(absl::StrFormat(
      "no plan is predicted to be within the budget; the least that this "
      "search space can reach is a latency ratio of %.4f, a size ratio of %.4f",
      core.reachability().least_us() / core.costs().baseline_us(),
      core.reachability().least_bytes() / core.costs().baseline_bytes()));
}

}  // namespace lathe

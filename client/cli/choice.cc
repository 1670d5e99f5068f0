#include "client/cli/choice.h"

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "client/cli/bound_flags.h"
#include "client/cli/quantity.h"

namespace lathe {
namespace {

constexpr double kHalfLatency = 0.5;
constexpr double kAcceptedDrop = 0.01;

bool BoundsLatencyOrSize(const v1::Budget& budget) {
  return budget.has_max_latency_us() || budget.has_max_latency_ratio() ||
         budget.has_max_size_bytes() || budget.has_max_size_ratio();
}

absl::StatusOr<Choice> ChooseWithinBudget(const SearchClient& client,
                                          const v1::Job& job) {
  LATHE_ASSIGN_OR_RETURN(v1::BestConfiguration best,
                         client.GetBestConfiguration(
                             RequestOfBudget(job.name(), job.spec().budget())));
  Choice choice;
  if (best.has_trial()) {
    choice.trial = best.trial();
    choice.why = absl::StrCat("within the budget: ", best.reason());
    return choice;
  }
  if (best.near_misses().empty()) {
    return absl::FailedPreconditionError("no trial was measured");
  }
  choice.trial = best.near_misses(0).trial();
  choice.why = "nearest miss: nothing measured meets the budget";
  choice.is_within_budget = false;
  choice.misses = best;
  return choice;
}

absl::StatusOr<Choice> ChooseWithoutBudget(const SearchClient& client,
                                           const v1::Job& job,
                                           const v1::Frontier& frontier) {
  v1::GetBestConfigurationRequest request;
  request.set_name(job.name());
  request.set_max_latency_ratio(kHalfLatency);
  LATHE_ASSIGN_OR_RETURN(const v1::BestConfiguration best,
                         client.GetBestConfiguration(request));
  Choice choice;
  if (best.has_trial()) {
    choice.trial = best.trial();
    choice.why = "most accurate at half the latency or less";
  } else {
    choice.trial = FastestWithinDrop(frontier, kAcceptedDrop);
    choice.why =
        "fastest within a point of the original's accuracy; nothing "
        "measured takes half its latency";
  }
  return choice;
}

}  // namespace

v1::Trial FastestWithinDrop(const v1::Frontier& frontier, double drop) {
  const v1::Trial* fastest = &frontier.baseline();
  const double least = frontier.baseline().measurement().accuracy() - drop;
  for (const v1::Trial& trial : frontier.trials()) {
    const v1::Measurement& m = trial.measurement();
    if (m.accuracy() >= least &&
        m.latency_ratio() < fastest->measurement().latency_ratio()) {
      fastest = &trial;
    }
  }
  return *fastest;
}

absl::StatusOr<Choice> ChooseConfiguration(const SearchClient& client,
                                           const v1::Job& job,
                                           const v1::Frontier& frontier) {
  const v1::Budget& budget = job.spec().budget();
  if (BoundsLatencyOrSize(budget)) return ChooseWithinBudget(client, job);
  if (!budget.has_max_accuracy_drop()) {
    return ChooseWithoutBudget(client, job, frontier);
  }
  Choice choice;
  choice.trial = FastestWithinDrop(frontier, budget.max_accuracy_drop());
  choice.why = absl::StrCat("fastest that loses at most ",
                            FormatPercent(budget.max_accuracy_drop()));
  return choice;
}

}  // namespace lathe

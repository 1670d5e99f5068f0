// What a measurement is worth.
#ifndef LATHE_AGENT_OBJECTIVE_H_
#define LATHE_AGENT_OBJECTIVE_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/types/span.h"
#include "proto/types.pb.h"

namespace lathe {

// The bytes that "size" means everywhere: the frontier's axis, budgets and
// rewards.
int64_t MeasuredBytes(const v1::Measurement& measurement);

// Latency and size as shares of the baseline's.
double LatencyRatio(const v1::Measurement& measurement,
                    const v1::Measurement& baseline);
double SizeRatio(const v1::Measurement& measurement,
                 const v1::Measurement& baseline);

// A job's bounds as shares of the baseline, the tighter of two given ones;
// absent where there is none.
struct RelativeBudget {
  std::optional<double> latency_ratio;
  std::optional<double> size_ratio;
  std::optional<double> accuracy_drop;
};
RelativeBudget MakeRelativeBudget(const v1::Budget& budget,
                                  const v1::Measurement& baseline);

// Immutable.
//
// A reward is the sum of named components:
//   accuracy         kAccuracyWeight x (accuracy / baseline's - 1)
//   divergence       -kDivergenceWeight x (1 - exp(-KL to the original))
//   latency_gain     kGainWeight x (1 - latency ratio), where "latency" is an
//                    objective and has no budget; size_gain likewise
//   latency_penalty  -kPenaltyWeight x share by which the budget is exceeded;
//                    size_penalty likewise
//   accuracy_penalty -kPenaltyWeight x accuracy lost beyond the allowed drop
//   infeasible       kInfeasibleReward, alone, for a trial that cannot work
// accuracy + divergence is the quality: the divergence tells plans apart that
// answer equally many samples rightly, the accuracy keeps it honest.
class Objective {
 public:
  static constexpr double kAccuracyWeight = 0.5;
  static constexpr double kDivergenceWeight = 0.25;
  // The height of the hypervolume's box: all of the latency is worth as much
  // as a fifth of the accuracy.
  static constexpr double kGainWeight = 0.2;
  // Ten percent over budget cost as much as losing the accuracy altogether.
  static constexpr double kPenaltyWeight = 5;
  // Below everything that a plan within budget can get.
  static constexpr double kInfeasibleReward = -1;
  // Quality is never below this.
  static constexpr double kLeastQuality = -kAccuracyWeight - kDivergenceWeight;

  Objective(v1::Measurement baseline, const v1::Budget& budget,
            absl::Span<const std::string> objectives);

  // REQUIRES: the trial is MEASURED or INFEASIBLE. moving_baseline is left 0.
  v1::Reward Evaluate(const v1::Trial& trial) const;

  double Quality(const v1::Measurement& measurement) const;

  const RelativeBudget& budget() const { return budget_; }
  bool has_latency() const { return has_latency_; }
  bool has_size() const { return has_size_; }

 private:
  double AccuracyTerm(const v1::Measurement& measurement) const;
  double DivergenceTerm(const v1::Measurement& measurement) const;

  const v1::Measurement baseline_;
  const RelativeBudget budget_;
  bool has_latency_ = false;
  bool has_size_ = false;
};

}  // namespace lathe

#endif  // LATHE_AGENT_OBJECTIVE_H_

// An evaluator without a model, for tests of what surrounds evaluations.
#ifndef LATHE_EVALUATOR_TESTING_SIMULATED_EVALUATOR_H_
#define LATHE_EVALUATOR_TESTING_SIMULATED_EVALUATOR_H_

#include <cstdint>

#include "absl/time/time.h"
#include "evaluator/evaluator.h"
#include "proto/types.pb.h"

namespace lathe {

struct SimulatedOptions {
  int layers = 6;
  // Samples of the search and of the report split.
  int64_t samples = 1000;
  // Slept in every evaluation, so that a test can kill it midway.
  absl::Duration pause = absl::ZeroDuration();
};

// `layers` convolutions of which the 2nd, 4th, 6th, ... share one group, as the
// trunk of a residual network does. Precisions F32, BF16 and INT8 at 8, 4, 3
// and 2 bits; keep ratios 1, 0.75, 0.5 and 0.25, just 1 for the last layer.
v1::SearchSpace MakeSimulatedSpace(int layers);

// Accuracy, divergence, latency and size in closed form over
// MakeSimulatedSpace(options.layers); equal plans give equal measurements, but
// for evaluation_seconds. Fewer bits and channels cost accuracy, most in the
// first layer, and save time as kernels do: no time below 8 bits, INT8 four
// times as fast as F32, a fixed part that nothing saves. A little noise hangs
// on the plan's digest. The artifact is a line of text that names the digest.
//
// A plan with 2 bits in the first layer is INFEASIBLE (FailedPrecondition).
// Not thread-safe, as Evaluator says.
class SimulatedEvaluator : public Evaluator {
 public:
  explicit SimulatedEvaluator(const SimulatedOptions& options = {})
      : options_(options), space_(MakeSimulatedSpace(options.layers)) {}

  absl::StatusOr<BaselineEvaluation> EvaluateBaseline() override;
  absl::StatusOr<Evaluation> Evaluate(const v1::CompressionPlan& plan) override;

 private:
  Evaluation Simulate(const v1::CompressionPlan& plan) const;

  const SimulatedOptions options_;
  const v1::SearchSpace space_;
};

}  // namespace lathe

#endif  // LATHE_EVALUATOR_TESTING_SIMULATED_EVALUATOR_H_

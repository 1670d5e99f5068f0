// One job's model and data, opened once, on which plans are evaluated.
#ifndef LATHE_EVALUATOR_EVALUATOR_H_
#define LATHE_EVALUATOR_EVALUATOR_H_

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "data/dataset.h"
#include "proto/types.pb.h"

namespace lathe {

// Changes whenever evaluations of equal plans may differ.
extern const char kEvaluatorVersion[];

// What an evaluation gives.
struct Evaluation {
  v1::Measurement measurement;
  // The compressed model as ONNX bytes (SerializeOnnx): exactly what was
  // measured.
  std::string artifact;
};

struct BaselineEvaluation {
  Evaluation evaluation;
  v1::BaselineReport report;
  // Serialised ActivationStats; report.activation_stats_digest is their
  // SHA-256.
  std::string activation_stats;
};

// Not thread-safe. Real: OneDnnEvaluator; for tests of the service:
// SimulatedEvaluator (evaluator/testing/).
class Evaluator {
 public:
  virtual ~Evaluator() = default;

  // Trial 0: the uncompressed model, the search space, the latency table and
  // the activation statistics.
  virtual absl::StatusOr<BaselineEvaluation> EvaluateBaseline() = 0;

  // Compresses by `plan` and measures.
  //
  // Errors:
  //   InvalidArgument - the plan is not legal in the search space.
  //   FailedPrecondition - the plan cannot work (INFEASIBLE).
  //   ResourceExhausted - memory.
  virtual absl::StatusOr<Evaluation> Evaluate(
      const v1::CompressionPlan& plan) = 0;

  // A first look at the plan: what it tells (Measurement.early_stop is set), or
  // nothing where the plan has to be evaluated, as without a predicted latency.
  // Evaluate's results do not depend on it.
  //
  // Errors: InvalidArgument - the plan is not legal in the search space.
  virtual absl::StatusOr<std::optional<v1::Measurement>> LookFirst(
      const v1::CompressionPlan& /*plan*/, const v1::Rivals& /*rivals*/) {
    return std::nullopt;
  }
};

struct EvaluatorOptions {
  // Core to pin to while latency is measured; none: not pinned.
  std::optional<int> pinned_core;
  // Timed calls of candidate and baseline in turn: at least this many, and on
  // until the interval of the ratio is narrower than `interval_width` or
  // `most_repeats` is reached.
  int64_t least_repeats = 30;
  int64_t most_repeats = 400;
  double interval_width = 0.03;
  // All timed calls of one trial together take no longer, ten of each aside.
  double most_latency_seconds = 5;
};

// Opens a job; `spec.compression`.compression says how plans are carried out.
// `model` are ONNX bytes; `datasets` the blobs that spec.dataset names, by
// digest; `activation_stats` the bytes that trial 0 left, or empty.
//
// Errors:
//   InvalidArgument, Unimplemented - the model, the data or the settings are
//     at fault (BAD_INPUT); the message says which and why.
absl::StatusOr<std::unique_ptr<Evaluator>> OpenOneDnnEvaluator(
    absl::string_view model, std::map<std::string, Dataset> datasets,
    const v1::JobSpec& spec, absl::string_view activation_stats,
    const EvaluatorOptions& options);

}  // namespace lathe

#endif  // LATHE_EVALUATOR_EVALUATOR_H_

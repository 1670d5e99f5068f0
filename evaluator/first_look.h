// A quick look at a plan: a sketch of it on few samples.
#ifndef LATHE_EVALUATOR_FIRST_LOOK_H_
#define LATHE_EVALUATOR_FIRST_LOOK_H_

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "compressor/activation_source.h"
#include "compressor/activation_stats.h"
#include "compressor/compress.h"
#include "compressor/graph.h"
#include "compressor/plan_sketch.h"
#include "evaluator/accuracy.h"
#include "evaluator/job_data.h"
#include "evaluator/paired_test.h"
#include "proto/types.pb.h"

namespace lathe {

// Samples of a whole look: as many numbers of input as these, within limits.
// 32 of SqueezeNet's images tell as much of a plan as 64
// (experiments/evaluation/README.md).
constexpr int64_t kLookElements = int64_t{1} << 20;
constexpr int64_t kFewestLookSamples = 32;
constexpr int64_t kMostLookSamples = 256;
// A look is first judged after a quarter of its samples, but not after fewer
// than these; then after twice as many each time.
constexpr int64_t kLeastLookSamples = 16;
// Of being beaten, at which a trial ends.
constexpr double kLookConfidence = 0.95;
// A rival counts as no slower if it is by this share faster than what the plan
// is predicted to take: predictions err by about so much.
constexpr double kLatencyMargin = 0.05;

// What a plan's sketch answered to the first samples of the search split.
struct Look {
  // 1 - exp(-KL) of each sample's answer from the original's, in [0, 1).
  std::vector<float> losses;
  int64_t correct = 0;
  // Mean over the samples, nats.
  double kl_divergence = 0;
};

// Looks at plans of one job, all on the same samples, so that their losses can
// be compared in pairs. Not thread-safe.
class FirstLook {
 public:
  // Of layers that sketches keep.
  static constexpr int64_t kMostSketchBytes = int64_t{256} << 20;

  // `answers` are the original's to the search split. All must outlive this.
  //
  // Errors: those of PlanSketcher::Create.
  static absl::StatusOr<std::unique_ptr<FirstLook>> Create(
      const Graph& graph, const v1::SearchSpace& space, const JobData& data,
      const ActivationStats& stats, ActivationSource& source,
      const CompressOptions& options, const Answers& answers,
      int64_t most_sketch_bytes = kMostSketchBytes);

  // The model that is looked at: shapes and precisions are the compressed
  // model's, the weights are not.
  //
  // Errors: InvalidArgument - the plan is not legal in the space.
  absl::StatusOr<Graph> Sketch(const v1::CompressionPlan& plan) {
    return sketcher_->Sketch(plan);
  }

  // The whole look at `plan`; one that was looked at lately is not run again.
  // Depends on nothing but the plan; valid until the next call.
  //
  // Errors: those of PlanSketcher::Sketch and AnswerRun.
  absl::StatusOr<const Look*> At(const v1::CompressionPlan& plan);

  // What a trial with this plan ends with: its accuracy and divergence as the
  // sketch tells them, corrected by what sketches of the rivals tell of them.
  // early_stop names the rival that beats the plan, if one does that costs no
  // more: with confidence kLookConfidence, or because its divergence leaves
  // nothing to gain. Then not all of the look's samples may have been needed.
  // Profile, version and duration are left to the caller.
  //
  // Errors: as At.
  absl::StatusOr<v1::Measurement> Judge(const v1::CompressionPlan& plan,
                                        const v1::Rivals& rivals);

  const PlanSketcher& sketcher() const { return *sketcher_; }

 private:
  FirstLook(const v1::SearchSpace& space, const DataPart& search,
            const Answers& reference)
      : space_(space), search_(search), reference_(reference) {}

  // Adds the next `count` samples to the look.
  absl::Status Extend(int64_t count, AnswerRun& run, Look* look) const;
  // Looks on until `most` samples are had, or `test` against `rival`, if there
  // is one, is sure.
  absl::Status LookAgainst(const Look* rival, int64_t most, const Graph& sketch,
                           Look* look, PairedTest* test) const;
  // What to multiply the divergence of `look` with.
  absl::StatusOr<double> CorrectionOf(const Look& look,
                                      const v1::Rivals& rivals);
  // The measurement of a plan that was looked at so far.
  absl::StatusOr<v1::Measurement> Measured(const v1::CompressionPlan& plan,
                                           const Graph& sketch,
                                           const Look& look) const;

  const v1::SearchSpace& space_;
  const DataPart& search_;
  const Answers& reference_;
  int64_t samples_ = 0;        // Of a whole look.
  int64_t least_samples_ = 0;  // Before it is judged.
  std::unique_ptr<PlanSketcher> sketcher_;
  std::map<std::string, Look> looks_;  // Whole ones, by plan digest.
};

}  // namespace lathe

#endif  // LATHE_EVALUATOR_FIRST_LOOK_H_

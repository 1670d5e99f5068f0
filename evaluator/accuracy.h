// What a model answers, and how right that is.
#ifndef LATHE_EVALUATOR_ACCURACY_H_
#define LATHE_EVALUATOR_ACCURACY_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "compressor/graph.h"
#include "evaluator/model_inputs.h"

namespace lathe {

// Log-probabilities of a model's first output, [samples, classes], row-major.
struct Answers {
  int64_t classes = 0;
  std::vector<float> log_probabilities;

  int64_t samples() const {
    return classes == 0 ? 0 : log_probabilities.size() / classes;
  }
  absl::Span<const float> row(int64_t sample) const {
    return absl::MakeConstSpan(log_probabilities)
        .subspan(sample * classes, classes);
  }
};

// Correct answers and the distance from another model's.
struct Accuracy {
  int64_t correct = 0;
  int64_t samples = 0;
  // Mean Kullback-Leibler divergence from the reference, in nats; never
  // negative.
  double kl_divergence = 0;
};

// Whether the first output is made by Softmax, so that it holds probabilities
// and not logits. Reshapes after it do not matter.
bool EndsInSoftmax(const Graph& graph);

// Turns rows of logits, or of probabilities, into log-probabilities in place.
// Probabilities below 1e-12 count as that much: float32 cannot tell them apart
// after a softmax, and 0 has no logarithm.
void ToLogProbabilities(bool is_probability, int64_t classes,
                        absl::Span<float> rows);

// Elements of the first output for one sample.
//
// Errors: those of InferShapes.
absl::StatusOr<int64_t> OutputClasses(const Graph& graph);

class Executor;

// A compiled model that answers samples part by part. Not thread-safe.
class AnswerRun {
 public:
  // For parts of up to `samples` samples.
  //
  // Errors: those of Executor::Compile and OutputClasses.
  static absl::StatusOr<AnswerRun> Create(const Graph& graph, int64_t samples);
  AnswerRun(AnswerRun&&) noexcept;
  AnswerRun& operator=(AnswerRun&&) noexcept;
  ~AnswerRun();

  // The answers to `samples`.
  //
  // Errors:
  //   OutOfRange - an output that is not finite; names the sample.
  absl::StatusOr<Answers> Next(const ModelInputs& inputs,
                               absl::Span<const int64_t> samples);

 private:
  AnswerRun(std::unique_ptr<Executor> executor, int64_t classes,
            bool is_probability);

  std::unique_ptr<Executor> executor_;
  int64_t classes_ = 0;
  bool is_probability_ = false;
};

// The answers to `samples`, run in batches as large as the model allows: one by
// one where grids come from the data.
// Deterministic, and independent of how samples fall into batches as far as
// the kernels are.
//
// Errors:
//   OutOfRange - an output that is not finite; names the sample.
//   else those of Executor::Compile.
absl::StatusOr<Answers> Answer(const Graph& graph, const ModelInputs& inputs,
                               absl::Span<const int64_t> samples);

// Kullback-Leibler divergence of one row of log-probabilities from another, in
// nats. REQUIRES: equal sizes.
double Divergence(absl::Span<const float> reference,
                  absl::Span<const float> other);

// Scores `answers` against `labels` (one a row), or, when there are none,
// against the answers of `reference`. The divergence is from `reference`.
// REQUIRES: equal samples and classes; labels are empty or one a row.
Accuracy Score(const Answers& answers, const Answers& reference,
               absl::Span<const int64_t> labels);

// Which samples are answered correctly, as Measurement.confirmation_bits says.
// REQUIRES: as Score.
std::string CorrectBits(const Answers& answers, const Answers& reference,
                        absl::Span<const int64_t> labels);

}  // namespace lathe

#endif  // LATHE_EVALUATOR_ACCURACY_H_

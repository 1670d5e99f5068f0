#include "evaluator/accuracy.h"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <memory>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "compressor/dynamic_grid.h"
#include "compressor/shape_inference.h"
#include "evaluator/executor.h"

namespace lathe {
namespace {

constexpr float kLeastProbability = 1e-12f;

// Operators that only pass values on.
bool IsReshape(const Node& node) {
  return node.domain.empty() && node.post_ops.empty() &&
         (node.op_type == "Reshape" || node.op_type == "Flatten" ||
          node.op_type == "Identity" || node.op_type == "Squeeze" ||
          node.op_type == "Unsqueeze");
}

// Batches large enough for the kernels to reach their speed, small enough for
// the activations to stay in the caches: 32 images of 32 x 32, 8 of 224 x 224.
int64_t BatchFor(int64_t sample_elements) {
  if (sample_elements <= 16 * 1024) return 32;
  return sample_elements <= 64 * 1024 ? 16 : 8;
}

absl::StatusOr<std::unique_ptr<Executor>> CompileForAnswers(const Graph& graph,
                                                            int64_t samples) {
  ExecutorOptions options;
  options.measures_kernels = false;
  if (const std::optional<int64_t> fixed = FixedBatch(graph)) {
    options.batch = *fixed;
    return Executor::Compile(graph, options);
  }
  // A grid that others in the batch have a say in would not be the sample's.
  if (HasDynamicGrids(graph)) {
    options.batch = 1;
    return Executor::Compile(graph, options);
  }
  LATHE_ASSIGN_OR_RETURN(const int64_t elements, SampleElements(graph));
  options.batch = std::min(BatchFor(elements), samples);
  return Executor::Compile(graph, options);
}

int64_t ArgMax(absl::Span<const float> row) {
  return std::max_element(row.begin(), row.end()) - row.begin();
}

bool IsCorrect(const Answers& answers, const Answers& reference,
               absl::Span<const int64_t> labels, int64_t sample) {
  return ArgMax(answers.row(sample)) ==
         (labels.empty() ? ArgMax(reference.row(sample)) : labels[sample]);
}

}  // namespace

bool EndsInSoftmax(const Graph& graph) {
  if (graph.outputs().empty()) return false;
  std::optional<int> producer = graph.Producer(graph.outputs()[0]);
  while (producer.has_value() && IsReshape(graph.nodes()[*producer])) {
    producer = graph.Producer(graph.nodes()[*producer].inputs[0]);
  }
  return producer.has_value() && graph.nodes()[*producer].op_type == "Softmax";
}

void ToLogProbabilities(bool is_probability, int64_t classes,
                        absl::Span<float> rows) {
  for (size_t first = 0; first + classes <= rows.size(); first += classes) {
    absl::Span<float> row = rows.subspan(first, classes);
    if (is_probability) {
      for (float& value : row) {
        value = std::log(std::max(value, kLeastProbability));
      }
      continue;
    }
    const float most = *std::max_element(row.begin(), row.end());
    double sum = 0;
    for (const float value : row) sum += std::exp(double{value} - most);
    const double log_sum = most + std::log(sum);
    for (float& value : row) value = static_cast<float>(value - log_sum);
  }
}

absl::StatusOr<int64_t> OutputClasses(const Graph& graph) {
  const int64_t batch = FixedBatch(graph).value_or(1);
  LATHE_ASSIGN_OR_RETURN(const std::vector<Shape> shapes,
                         InputShapes(graph, batch));
  LATHE_ASSIGN_OR_RETURN(const std::vector<ValueInfo> values,
                         InferShapes(graph, shapes));
  if (graph.outputs().empty()) {
    return absl::InvalidArgumentError("the model has no output");
  }
  const ValueInfo& output = values[graph.outputs()[0]];
  if (output.type != DataType::kFloat32) {
    return absl::InvalidArgumentError(
        absl::StrCat("the first output is ", DataTypeName(output.type),
                     "; answers are read from float32"));
  }
  const int64_t elements = ElementCount(output.shape);
  if (elements == 0 || elements % batch != 0) {
    return absl::InvalidArgumentError(absl::StrCat(
        "the first output has shape ", ShapeToString(output.shape),
        ", which gives no answer for each of ", batch, " samples"));
  }
  return elements / batch;
}

AnswerRun::AnswerRun(std::unique_ptr<Executor> executor, int64_t classes,
                     bool is_probability)
    : executor_(std::move(executor)),
      classes_(classes),
      is_probability_(is_probability) {}
AnswerRun::AnswerRun(AnswerRun&&) noexcept = default;
AnswerRun& AnswerRun::operator=(AnswerRun&&) noexcept = default;
AnswerRun::~AnswerRun() = default;

absl::StatusOr<AnswerRun> AnswerRun::Create(const Graph& graph,
                                            int64_t samples) {
  LATHE_ASSIGN_OR_RETURN(const int64_t classes, OutputClasses(graph));
  LATHE_ASSIGN_OR_RETURN(std::unique_ptr<Executor> executor,
                         CompileForAnswers(graph, samples));
  return AnswerRun(std::move(executor), classes, EndsInSoftmax(graph));
}

absl::StatusOr<Answers> AnswerRun::Next(const ModelInputs& inputs,
                                        absl::Span<const int64_t> samples) {
  Answers answers;
  answers.classes = classes_;
  const size_t batch = executor_->input_shapes()[0][0];
  answers.log_probabilities.reserve(samples.size() * classes_);
  for (size_t first = 0; first < samples.size(); first += batch) {
    const auto part = samples.subspan(first, batch);
    LATHE_RETURN_IF_ERROR(inputs.Fill(part, executor_.get()));
    LATHE_RETURN_IF_ERROR(executor_->Run());
    const float* output = static_cast<const float*>(executor_->output(0));
    for (size_t i = 0; i < part.size() * classes_; ++i) {
      if (!std::isfinite(output[i])) {
        return absl::OutOfRangeError(absl::StrCat("the output for sample ",
                                                  part[i / classes_], " is ",
                                                  output[i], ", not finite"));
      }
      answers.log_probabilities.push_back(output[i]);
    }
  }
  ToLogProbabilities(is_probability_, classes_,
                     absl::MakeSpan(answers.log_probabilities));
  return answers;
}

absl::StatusOr<Answers> Answer(const Graph& graph, const ModelInputs& inputs,
                               absl::Span<const int64_t> samples) {
  if (samples.empty()) {
    Answers none;
    LATHE_ASSIGN_OR_RETURN(none.classes, OutputClasses(graph));
    return none;
  }
  LATHE_ASSIGN_OR_RETURN(
      AnswerRun run,
      AnswerRun::Create(graph, static_cast<int64_t>(samples.size())));
  return run.Next(inputs, samples);
}

double Divergence(absl::Span<const float> reference,
                  absl::Span<const float> other) {
  double sum = 0;
  for (size_t i = 0; i < reference.size(); ++i) {
    const double log_p = reference[i];
    sum += std::exp(log_p) * (log_p - other[i]);
  }
  return std::max(sum, 0.0);
}

Accuracy Score(const Answers& answers, const Answers& reference,
               absl::Span<const int64_t> labels) {
  assert(answers.samples() == reference.samples());
  assert(answers.classes == reference.classes);
  assert(labels.empty() ||
         static_cast<int64_t>(labels.size()) == answers.samples());
  Accuracy accuracy;
  accuracy.samples = answers.samples();
  double sum = 0;
  for (int64_t i = 0; i < accuracy.samples; ++i) {
    accuracy.correct += IsCorrect(answers, reference, labels, i);
    sum += Divergence(reference.row(i), answers.row(i));
  }
  if (accuracy.samples > 0) accuracy.kl_divergence = sum / accuracy.samples;
  return accuracy;
}

std::string CorrectBits(const Answers& answers, const Answers& reference,
                        absl::Span<const int64_t> labels) {
  std::string bits((answers.samples() + 7) / 8, '\0');
  for (int64_t i = 0; i < answers.samples(); ++i) {
    if (!IsCorrect(answers, reference, labels, i)) continue;
    bits[i / 8] = static_cast<char>(bits[i / 8] | 1 << i % 8);
  }
  return bits;
}

}  // namespace lathe

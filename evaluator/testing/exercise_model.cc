#include "evaluator/testing/exercise_model.h"

#include <cstring>
#include <memory>
#include <utility>
#include <vector>

#include "base/status.h"
#include "compressor/canonical.h"
#include "compressor/compress.h"
#include "compressor/cost.h"
#include "compressor/onnx.h"
#include "compressor/search_space.h"
#include "compressor/shape_inference.h"
#include "compressor/testing/reference_activation_source.h"
#include "evaluator/executor.h"
#include "proto/plan.h"

namespace lathe {
namespace {

constexpr int64_t kBatch = 2;
constexpr int64_t kSamples = 4;
constexpr int64_t kMostExecutorBytes = int64_t{256} << 20;
// What runs in milliseconds even under sanitizers.
constexpr int64_t kMostRunElements = 1 << 15;
constexpr int64_t kMostRunMacs = 1 << 19;

// Some numbers of both signs.
std::vector<float> Numbers(int64_t count) {
  std::vector<float> numbers(count);
  for (int64_t i = 0; i < count; ++i) {
    numbers[i] = static_cast<float>(i * 7 % 23) / 8 - 1;
  }
  return numbers;
}

// Whether a run is a matter of milliseconds.
absl::StatusOr<bool> IsSmall(const Graph& graph, int64_t batch) {
  LATHE_ASSIGN_OR_RETURN(const std::vector<Shape> shapes,
                         InputShapes(graph, batch));
  LATHE_ASSIGN_OR_RETURN(const std::vector<ValueInfo> infos,
                         InferShapes(graph, shapes));
  int64_t elements = 0;
  for (const ValueInfo& info : infos) {
    elements += ElementCount(info.shape);
    if (elements > kMostRunElements) return false;
  }
  LATHE_ASSIGN_OR_RETURN(const ModelCost cost, ComputeCost(graph));
  return cost.macs <= kMostRunMacs;
}

absl::Status CompileAndRun(const Graph& graph, int64_t batch) {
  ExecutorOptions options;
  options.measures_kernels = false;
  options.batch = batch;
  options.most_bytes = kMostExecutorBytes;
  LATHE_ASSIGN_OR_RETURN(const std::unique_ptr<Executor> executor,
                         Executor::Compile(graph, options));
  LATHE_ASSIGN_OR_RETURN(const bool is_small, IsSmall(graph, batch));
  if (!is_small) return absl::OkStatus();
  for (size_t i = 0; i < graph.inputs().size(); ++i) {
    if (graph.value(graph.inputs()[i]).type != DataType::kFloat32) continue;
    const auto numbers = Numbers(ElementCount(executor->input_shapes()[i]));
    std::memcpy(executor->input(i), numbers.data(),
                numbers.size() * sizeof(float));
  }
  return executor->Run();
}

// Precisions and bits in turn, keep ratios about one half.
v1::CompressionPlan MixedPlan(const v1::SearchSpace& space) {
  v1::CompressionPlan plan = BaselinePlan(space);
  for (int i = 0; i < space.layers_size(); ++i) {
    const v1::Layer& layer = space.layers(i);
    const auto& option = layer.precisions(i * 7 % layer.precisions_size());
    plan.mutable_layers(i)->set_precision(option.precision());
    plan.mutable_layers(i)->set_weight_bits(option.weight_bits());
    plan.mutable_layers(i)->set_keep_ratio(
        layer.keep_ratios(layer.keep_ratios_size() / 2));
  }
  return plan;
}

// Samples of the shapes that the graph declares.
absl::StatusOr<std::vector<Tensor>> MakeSamples(const Graph& graph) {
  std::vector<Tensor> samples;
  for (const ValueId id : graph.inputs()) {
    const Value& value = graph.value(id);
    Shape shape = value.shape;
    if (shape.empty() || value.type != DataType::kFloat32) {
      return absl::UnimplementedError("an input that is not of samples");
    }
    shape[0] = kSamples;
    samples.push_back(Tensor::Of<float>(shape, Numbers(ElementCount(shape))));
  }
  if (samples.empty()) return absl::UnimplementedError("no inputs");
  return samples;
}

absl::Status CompressAndRun(const Graph& graph, int64_t batch) {
  SpaceOptions space_options;
  space_options.has_bf16 = true;
  const auto made = MakeSearchSpace(graph, space_options);
  // No layer that could be compressed.
  if (absl::IsFailedPrecondition(made.status())) return absl::OkStatus();
  LATHE_ASSIGN_OR_RETURN(const v1::SearchSpace space, made);
  LATHE_ASSIGN_OR_RETURN(std::vector<Tensor> samples, MakeSamples(graph));
  ReferenceActivationSource source(std::move(samples), graph.parts().opset);
  LATHE_ASSIGN_OR_RETURN(const ActivationStats stats,
                         CollectActivationStats(graph, source, kSamples));
  const v1::CompressionPlan plan = MixedPlan(space);
  LATHE_RETURN_IF_ERROR(ValidatePlan(space, plan));
  LATHE_ASSIGN_OR_RETURN(const Graph compressed,
                         Compress(graph, space, plan, stats, source));
  LATHE_RETURN_IF_ERROR(CompileAndRun(compressed, batch));
  LATHE_ASSIGN_OR_RETURN(const std::string bytes, SerializeOnnx(compressed));
  LATHE_ASSIGN_OR_RETURN(const Graph parsed, ParseOnnx(bytes));
  LATHE_ASSIGN_OR_RETURN(const Graph canonical, Canonicalize(parsed));
  return CompileAndRun(canonical, batch);
}

// What the first input declares, or kBatch.
int64_t BatchOf(const Graph& graph) {
  if (graph.inputs().empty()) return 1;
  const Shape& shape = graph.value(graph.inputs()[0]).shape;
  return shape.empty() || shape[0] == kDynamic ? kBatch : shape[0];
}

}  // namespace

absl::Status ExerciseModel(absl::string_view bytes) {
  LATHE_ASSIGN_OR_RETURN(const Graph parsed, ParseOnnx(bytes));
  LATHE_ASSIGN_OR_RETURN(const Graph graph, Canonicalize(parsed));
  const int64_t batch = BatchOf(graph);
  LATHE_RETURN_IF_ERROR(CompileAndRun(graph, batch));
  LATHE_ASSIGN_OR_RETURN(const bool is_small, IsSmall(graph, batch));
  if (!is_small) return absl::OkStatus();
  return CompressAndRun(graph, batch);
}

}  // namespace lathe

#include "client/worker/bench_model.h"

#include <cstring>
#include <random>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "client/plan_json.h"
#include "compressor/activation_stats.h"
#include "compressor/compress.h"
#include "compressor/search_space.h"
#include "compressor/shape_inference.h"
#include "evaluator/node_runner.h"

namespace lathe {
namespace {

// `graph` without grids and quantised weights, all in float32.
absl::StatusOr<Graph> WithoutQuantisation(const Graph& graph) {
  GraphParts parts = graph.parts();
  for (Node& node : parts.nodes) {
    node.precision = v1::F32;
    node.quantized_weights.reset();
    node.quantized_recurrence.reset();
  }
  for (Value& value : parts.values) value.grid.reset();
  return Graph::Create(std::move(parts));
}

// `graph` with the same scales and steps, but no zero points.
absl::StatusOr<Graph> WithoutZeroPoints(const Graph& graph) {
  GraphParts parts = graph.parts();
  for (Value& value : parts.values) {
    if (value.grid.has_value()) value.grid->zero_point = 0;
  }
  return Graph::Create(std::move(parts));
}

}  // namespace

absl::StatusOr<std::vector<Tensor>> RandomInputs(const Graph& graph,
                                                 int64_t batch) {
  LATHE_ASSIGN_OR_RETURN(const std::vector<Shape> shapes,
                         InputShapes(graph, batch));
  std::mt19937_64 random(1);
  std::vector<Tensor> inputs;
  for (size_t i = 0; i < shapes.size(); ++i) {
    const DataType type = graph.value(graph.inputs()[i]).type;
    const int64_t count = ElementCount(shapes[i]);
    if (type != DataType::kFloat32) {
      inputs.emplace_back(type, shapes[i],
                          std::string(count * ElementBytes(type), '\0'));
      continue;
    }
    std::vector<float> values(count);
    for (float& value : values) {
      value = static_cast<float>(random() >> 40) / (1 << 24);
    }
    inputs.push_back(Tensor::Of<float>(shapes[i], values));
  }
  return inputs;
}

absl::StatusOr<std::unique_ptr<Executor>> CompileWithInputs(const Graph& graph,
                                                            int64_t batch) {
  LATHE_ASSIGN_OR_RETURN(auto executor, Executor::Compile(graph, {batch}));
  LATHE_ASSIGN_OR_RETURN(const std::vector<Tensor> inputs,
                         RandomInputs(graph, batch));
  for (size_t i = 0; i < inputs.size(); ++i) {
    const std::string& bytes = inputs[i].bytes();
    std::memcpy(executor->input(i), bytes.data(), bytes.size());
  }
  return executor;
}

RandomSource::RandomSource(const Graph* graph)
    : graph_(*graph), count_(FixedBatch(graph_).value_or(kSamples)) {}

absl::StatusOr<std::vector<Tensor>> RandomSource::Inputs(int64_t first,
                                                         int64_t count) {
  return RandomInputs(graph_, count);
}

absl::StatusOr<std::vector<Tensor>> RandomSource::Run(
    const Node& node, absl::Span<const Tensor> inputs) {
  return RunNode(node, graph_.parts().opset, inputs);
}

absl::StatusOr<Graph> AtPrecision(const Graph& graph,
                                  absl::string_view precision) {
  if (precision == "as-is") return graph;
  LATHE_ASSIGN_OR_RETURN(Graph plain, WithoutQuantisation(graph));
  if (precision == "f32") return plain;
  SpaceOptions options;
  options.has_bf16 = true;  // Asked for, natively or not.
  LATHE_ASSIGN_OR_RETURN(const v1::SearchSpace space,
                         MakeSearchSpace(plain, options));
  LATHE_ASSIGN_OR_RETURN(
      const v1::CompressionPlan plan,
      UniformPlan(absl::StrCat("uniform:", precision), space));
  RandomSource source(&plain);
  ActivationStats stats;
  if (precision == "int8") {
    LATHE_ASSIGN_OR_RETURN(
        stats, CollectActivationStats(plain, source, source.SampleCount()));
  }
  CompressOptions compress;
  compress.range.method = RangeMethod::kMinMax;
  compress.weights = NearestWeights();
  LATHE_ASSIGN_OR_RETURN(const Graph compressed,
                         Compress(plain, space, plan, stats, source, compress));
  return WithoutZeroPoints(compressed);
}

}  // namespace lathe

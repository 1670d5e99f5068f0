#include "evaluator/testing/graph_builder.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <memory>
#include <utility>

#include "absl/status/statusor.h"
#include "compressor/reference_ops.h"
#include "evaluator/compile.h"
#include "gtest/gtest.h"

namespace lathe {
namespace {

template <typename T>
T ValueOrDie(absl::StatusOr<T> result) {
  EXPECT_TRUE(result.ok()) << result.status();
  if (!result.ok()) std::abort();
  return *std::move(result);
}

std::vector<float> Normals(int64_t count, float deviation,
                           std::mt19937& random) {
  std::normal_distribution<float> normal(0, deviation);
  std::vector<float> values(count);
  for (float& value : values) value = normal(random);
  return values;
}

ActivationGrid GridFor(const Tensor& tensor, const GridOptions& options) {
  const auto values = tensor.values<float>();
  const auto [low, high] = std::minmax_element(values.begin(), values.end());
  const float most = std::max(std::abs(*low), std::abs(*high)) + 1e-6f;
  const bool is_signed =
      options.is_signed || (options.is_signed_where_negative && *low < 0);
  if (is_signed) return {true, most / 127, 0};
  if (*low >= 0 || !options.has_zero_points) return {false, most / 255, 0};
  const float scale = (std::max(0.f, *high) - *low + 1e-6f) / 255;
  return {false, scale, static_cast<int>(std::lround(-*low / scale))};
}

// Output channel of element i of the weights.
int64_t ChannelOf(const Node& node, const Shape& shape, int64_t i) {
  const bool is_last = node.op_type == "MatMul" ||
                       (node.op_type == "Gemm" && node.IntOr("transB", 0) == 0);
  return is_last ? i % shape.back() : i / (ElementCount(shape) / shape[0]);
}

void QuantizeWeightsOf(Node* node, Value* weights) {
  const Shape shape = weights->constant->shape();
  const auto values = weights->constant->values<float>();
  const bool is_last = ChannelOf(*node, shape, 1) == 1;
  const int64_t channels = is_last ? shape.back() : shape[0];
  QuantizedWeights quantized;
  quantized.scales.assign(channels, 1e-6f);
  for (size_t i = 0; i < values.size(); ++i) {
    float& scale = quantized.scales[ChannelOf(*node, shape, i)];
    scale = std::max(scale, std::abs(values[i]) / 127);
  }
  std::vector<float> rounded;
  for (size_t i = 0; i < values.size(); ++i) {
    const float scale = quantized.scales[ChannelOf(*node, shape, i)];
    const float level =
        std::clamp(std::nearbyint(values[i] / scale), -127.f, 127.f);
    quantized.levels.push_back(static_cast<int8_t>(level));
    rounded.push_back(scale * level);
  }
  weights->constant = Tensor::Of<float>(shape, rounded);
  node->quantized_weights = std::move(quantized);
}

}  // namespace

ValueId GraphBuilder::NewValue(Value value) {
  value.name = "v" + std::to_string(parts_.values.size());
  parts_.values.push_back(std::move(value));
  return static_cast<ValueId>(parts_.values.size()) - 1;
}

ValueId GraphBuilder::Input(Shape shape) {
  Value value;
  value.shape = std::move(shape);
  parts_.inputs.push_back(NewValue(std::move(value)));
  return parts_.inputs.back();
}

ValueId GraphBuilder::Weights(const Shape& shape, float deviation) {
  Value value;
  value.constant = Tensor::Of<float>(
      shape, Normals(ElementCount(shape), deviation, random_));
  return NewValue(std::move(value));
}

ValueId GraphBuilder::Number(float value) {
  Value scalar;
  scalar.constant = Tensor::Of<float>({}, std::vector<float>{value});
  return NewValue(std::move(scalar));
}

ValueId GraphBuilder::Integers(const std::vector<int64_t>& values) {
  Value value;
  value.type = DataType::kInt64;
  value.constant =
      Tensor::Of<int64_t>({static_cast<int64_t>(values.size())}, values);
  return NewValue(std::move(value));
}

ValueId GraphBuilder::Add(NodeSpec spec) {
  Node node;
  node.name = spec.op_type + "_" + std::to_string(parts_.nodes.size());
  node.op_type = std::move(spec.op_type);
  node.inputs = std::move(spec.inputs);
  node.attributes = std::move(spec.attributes);
  node.post_ops = std::move(spec.post_ops);
  node.precision = spec.precision;
  node.outputs = {NewValue({})};
  parts_.nodes.push_back(std::move(node));
  return parts_.nodes.back().outputs[0];
}

std::vector<ValueId> GraphBuilder::AddMany(NodeSpec spec, int outputs) {
  Add(std::move(spec));
  const size_t node = parts_.nodes.size() - 1;
  for (int i = 1; i < outputs; ++i) {
    const ValueId value = NewValue({});
    parts_.nodes[node].outputs.push_back(value);
  }
  return parts_.nodes[node].outputs;
}

Graph GraphBuilder::Build(std::vector<ValueId> outputs, int64_t opset) {
  parts_.outputs = std::move(outputs);
  parts_.opset = opset;
  return ValueOrDie(Graph::Create(parts_));
}

PostOp ReluPostOp() { return {PostOp::Kind::kRelu}; }

PostOp AddPostOp(int input) { return {PostOp::Kind::kAdd, 0, 0, input}; }

ValueId AddConv(GraphBuilder& builder, ValueId x, int64_t in, int64_t out,
                v1::Precision precision, int64_t kernel) {
  const int64_t pad = kernel / 2;
  return builder.Add({"Conv",
                      {x, builder.Weights({out, in, kernel, kernel}, 0.15f),
                       builder.Weights({out}, 0.1f)},
                      {{"pads", std::vector<int64_t>{pad, pad, pad, pad}}},
                      {ReluPostOp()},
                      precision});
}

std::vector<Tensor> RandomInputs(const Graph& graph, std::mt19937& random) {
  std::vector<Tensor> inputs;
  for (ValueId value : graph.inputs()) {
    const Shape& shape = graph.value(value).shape;
    inputs.push_back(
        Tensor::Of<float>(shape, Normals(ElementCount(shape), 1, random)));
  }
  return inputs;
}

std::vector<Tensor> EvaluateAllValues(const Graph& graph,
                                      const std::vector<Tensor>& inputs) {
  std::vector<Tensor> values(graph.values().size());
  for (size_t v = 0; v < values.size(); ++v) {
    if (graph.values()[v].constant) values[v] = *graph.values()[v].constant;
  }
  for (size_t i = 0; i < inputs.size(); ++i) {
    values[graph.inputs()[i]] = inputs[i];
  }
  for (const Node& node : graph.nodes()) {
    std::vector<Tensor> arguments;
    for (ValueId value : node.inputs) {
      arguments.push_back(value == kNoValue ? Tensor() : values[value]);
    }
    const auto results =
        ValueOrDie(EvaluateNode(node, graph.parts().opset, arguments));
    for (size_t i = 0; i < node.outputs.size(); ++i) {
      if (node.outputs[i] != kNoValue) values[node.outputs[i]] = results[i];
    }
  }
  return values;
}

Graph WithGrids(const Graph& graph, const std::vector<Tensor>& inputs,
                const GridOptions& options) {
  GraphParts parts = graph.parts();
  const std::vector<Tensor> values = EvaluateAllValues(graph, inputs);
  for (Node& node : parts.nodes) {
    if (node.precision != v1::INT8) continue;
    QuantizeWeightsOf(&node, &parts.values[node.inputs[1]]);
    const ValueId source = node.inputs[0];
    parts.values[source].grid = GridFor(values[source], options);
  }
  for (size_t v = 0; v < parts.values.size(); ++v) {
    if (options.also && options.also(static_cast<ValueId>(v))) {
      parts.values[v].grid = GridFor(values[v], options);
    }
  }
  return ValueOrDie(Graph::Create(std::move(parts)));
}

std::vector<Tensor> Execute(const Graph& graph,
                            const std::vector<Tensor>& inputs) {
  std::vector<Shape> shapes;
  for (const Tensor& input : inputs) shapes.push_back(input.shape());
  ExecutorOptions options;
  options.measures_kernels = false;
  const auto executor = ValueOrDie(CompileForShapes(graph, shapes, options));
  for (size_t i = 0; i < inputs.size(); ++i) {
    std::memcpy(executor->input(static_cast<int>(i)), inputs[i].bytes().data(),
                inputs[i].bytes().size());
  }
  for (int run = 0; run < 2; ++run) {
    const absl::Status status = executor->Run();
    EXPECT_TRUE(status.ok()) << status;
  }
  std::vector<Tensor> outputs;
  for (size_t i = 0; i < graph.outputs().size(); ++i) {
    const Shape& shape = executor->output_shapes()[i];
    const char* bytes =
        static_cast<const char*>(executor->output(static_cast<int>(i)));
    outputs.emplace_back(DataType::kFloat32, shape,
                         std::string(bytes, ElementCount(shape) * 4));
  }
  return outputs;
}

}  // namespace lathe

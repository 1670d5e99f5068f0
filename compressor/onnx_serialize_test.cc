#include <cstdlib>
#include <fstream>
#include <limits>
#include <string>
#include <vector>

#include "base/file.h"
#include "compressor/canonical.h"
#include "compressor/onnx.h"
#include "compressor/reference_ops.h"
#include "compressor/testing/sample_models.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "onnx/onnx_pb.h"

namespace lathe {
namespace {

Graph Parse(const std::string& bytes) {
  auto graph = ParseOnnx(bytes);
  EXPECT_TRUE(graph.ok()) << graph.status();
  return *std::move(graph);
}

Graph CanonicalSample(const std::string& path) {
  const auto bytes = ReadFile(SampleDataDir() + "/" + path);
  EXPECT_TRUE(bytes.ok()) << bytes.status();
  auto graph = Canonicalize(Parse(*bytes));
  EXPECT_TRUE(graph.ok()) << path << ": " << graph.status();
  return *std::move(graph);
}

std::string Serialize(const Graph& graph) {
  auto bytes = SerializeOnnx(graph);
  EXPECT_TRUE(bytes.ok()) << bytes.status();
  return *std::move(bytes);
}

// Puts the sample where tools of other people can look at it.
void Keep(const std::string& name, const std::string& bytes) {
  const char* folder = std::getenv("LATHE_KEEP_MODELS");
  if (folder == nullptr) return;
  std::ofstream(std::string(folder) + "/" + name + ".onnx") << bytes;
}

std::vector<Tensor> Evaluate(const Graph& graph,
                             const std::vector<Tensor>& inputs) {
  auto outputs = EvaluateGraph(graph, inputs);
  EXPECT_TRUE(outputs.ok()) << outputs.status();
  return *std::move(outputs);
}

// `graph` with every weight on an 8-bit grid and every float value rounded.
Graph Quantised(const Graph& graph) {
  GraphParts parts = graph.parts();
  for (Node& node : parts.nodes) {
    if (node.op_type != "Conv" && node.op_type != "Gemm") continue;
    Value& weights = parts.values[node.inputs[1]];
    const bool is_outer =
        node.op_type == "Conv" || node.IntOr("transB", 0) != 0;
    const Shape& shape = weights.constant->shape();
    const int64_t channels = is_outer ? shape[0] : shape[1];
    QuantizedWeights quantized;
    for (int64_t c = 0; c < channels; ++c) {
      quantized.scales.push_back(0.01f + 0.001f * c);
    }
    std::vector<float> rounded;
    const auto values = weights.constant->values<float>();
    const int64_t inner = weights.constant->size() / shape[0];
    for (size_t i = 0; i < values.size(); ++i) {
      const int64_t c = is_outer ? i / inner : i % channels;
      const float level = std::min(
          127.0f,
          std::max(-127.0f, std::nearbyint(values[i] / quantized.scales[c])));
      quantized.levels.push_back(static_cast<int8_t>(level));
      rounded.push_back(quantized.scales[c] * level);
    }
    weights.constant = Tensor::Of<float>(shape, rounded);
    node.quantized_weights = std::move(quantized);
    node.precision = v1::INT8;
    parts.values[node.inputs[0]].grid = ActivationGrid{false, 0.05f, 7};
    parts.values[node.outputs[0]].grid = ActivationGrid{true, 0.1f, -3};
  }
  return *Graph::Create(std::move(parts));
}

class SerializedModel : public testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    if (!HasSampleData()) GTEST_SKIP() << kNoSampleData;
  }
};

TEST_P(SerializedModel, ComputesTheSameAfterSerialiseAndParse) {
  const Graph graph = CanonicalSample(GetParam());
  const std::string bytes = Serialize(graph);
  Keep("float_" + std::to_string(bytes.size()), bytes);
  const Graph read = Parse(bytes);
  const std::vector<Tensor> inputs = RandomInputs(graph, /*batch=*/1, 1);
  const std::vector<Tensor> expected = Evaluate(graph, inputs);
  const std::vector<Tensor> actual = Evaluate(read, inputs);
  ASSERT_EQ(actual.size(), expected.size());
  for (size_t i = 0; i < expected.size(); ++i) {
    EXPECT_EQ(actual[i].bytes(), expected[i].bytes());
  }
}

TEST_P(SerializedModel, GivesTheSameBytesAgain) {
  const Graph graph = CanonicalSample(GetParam());
  const std::string bytes = Serialize(graph);
  EXPECT_EQ(Serialize(graph), bytes);
  const auto again = Canonicalize(Parse(bytes));
  ASSERT_TRUE(again.ok()) << again.status();
  const auto third = Canonicalize(Parse(Serialize(*again)));
  ASSERT_TRUE(third.ok()) << third.status();
  EXPECT_EQ(Serialize(*third), Serialize(*again));
}

TEST_P(SerializedModel, KeepsGridsAndIntegerWeights) {
  const Graph graph = Quantised(CanonicalSample(GetParam()));
  const std::string bytes = Serialize(graph);
  Keep("quantised_" + std::to_string(bytes.size()), bytes);
  const Graph read = Parse(bytes);
  const std::vector<Tensor> inputs = RandomInputs(graph, /*batch=*/1, 1);
  const std::vector<Tensor> expected = Evaluate(graph, inputs);
  const std::vector<Tensor> actual = Evaluate(read, inputs);
  for (size_t i = 0; i < expected.size(); ++i) {
    EXPECT_EQ(actual[i].bytes(), expected[i].bytes());
  }
}

INSTANTIATE_TEST_SUITE_P(All, SerializedModel,
                         testing::ValuesIn(SampleModels()),
                         [](const auto& info) {
                           std::string name = info.param;
                           for (char& c : name) {
                             if (!std::isalnum(c)) c = '_';
                           }
                           return name;
                         });

// One Conv with all kinds of post-ops.
Graph PostOpNet() {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  GraphParts parts;
  parts.name = "post-ops";
  parts.values.resize(4);
  parts.values[0].name = "x";
  parts.values[0].shape = {kDynamic, 1, 2, 2};
  parts.values[1].name = "w";
  parts.values[1].constant =
      Tensor::Of<float>({1, 1, 1, 1}, std::vector<float>{1.5f});
  parts.values[2].name = "y";
  parts.values[3].name = "unused";
  Node conv;
  conv.name = "conv";
  conv.op_type = "Conv";
  conv.inputs = {0, 1, kNoValue, 0};
  conv.outputs = {2};
  PostOp add{PostOp::Kind::kAdd};
  add.input = 3;
  conv.post_ops = {add,
                   {PostOp::Kind::kLeakyRelu, 0.1f},
                   {PostOp::Kind::kClip, -kInfinity, 5.0f},
                   {PostOp::Kind::kClip, -4.0f, kInfinity},
                   {PostOp::Kind::kHardSwish},
                   {PostOp::Kind::kTanh},
                   {PostOp::Kind::kHardSigmoid, 0.3f, 0.4f},
                   {PostOp::Kind::kSigmoid},
                   {PostOp::Kind::kRelu}};
  conv.precision = v1::BF16;
  parts.nodes = {conv};
  parts.inputs = {0};
  parts.outputs = {2};
  auto graph = Graph::Create(std::move(parts));
  EXPECT_TRUE(graph.ok()) << graph.status();
  return *std::move(graph);
}

TEST(SerializeOnnx, WritesPostOpsAsNodesThatFuseAgain) {
  const Graph graph = PostOpNet();
  const Graph read = Parse(Serialize(graph));
  EXPECT_EQ(read.nodes().size(), 10);
  const std::vector<Tensor> inputs = {Tensor::Of<float>(
      {1, 1, 2, 2}, std::vector<float>{-3.0f, -0.5f, 0.5f, 3.0f})};
  EXPECT_EQ(Evaluate(read, inputs)[0].bytes(),
            Evaluate(graph, inputs)[0].bytes());
  const auto canonical = Canonicalize(read);
  ASSERT_TRUE(canonical.ok()) << canonical.status();
  ASSERT_EQ(canonical->nodes().size(), 1);
  EXPECT_EQ(canonical->nodes()[0].name, "conv");
  EXPECT_EQ(canonical->nodes()[0].post_ops.size(), 9);
  EXPECT_EQ(Evaluate(*canonical, inputs)[0].bytes(),
            Evaluate(graph, inputs)[0].bytes());
}

TEST(SerializeOnnx, NamesTheLayersThatRunInBf16) {
  onnx::ModelProto model;
  ASSERT_TRUE(model.ParseFromString(Serialize(PostOpNet())));
  std::vector<std::string> metadata;
  for (const auto& entry : model.metadata_props()) {
    metadata.push_back(entry.key() + "=" + entry.value());
  }
  EXPECT_THAT(metadata, testing::Contains("lathe.bf16_layers=conv"));
  EXPECT_EQ(model.ir_version(), 8);
  EXPECT_EQ(model.opset_import(0).version(), 17);
}

TEST(SerializeOnnx, LeavesOutWhatNothingReads) {
  onnx::ModelProto model;
  ASSERT_TRUE(model.ParseFromString(Serialize(PostOpNet())));
  for (const auto& initializer : model.graph().initializer()) {
    EXPECT_NE(initializer.name(), "unused");
  }
}

TEST(SerializeOnnx, RefusesTwoValuesOfOneName) {
  GraphParts parts = PostOpNet().parts();
  parts.values[1].name = "x";
  const auto graph = Graph::Create(std::move(parts));
  ASSERT_TRUE(graph.ok());
  const auto bytes = SerializeOnnx(*graph);
  EXPECT_TRUE(absl::IsInvalidArgument(bytes.status())) << bytes.status();
  EXPECT_THAT(std::string(bytes.status().message()),
              testing::HasSubstr("\"x\""));
}

}  // namespace
}  // namespace lathe

// A network run segment by segment answers as the whole does.
#include "evaluator/network_segments.h"

#include <cstring>
#include <string>
#include <vector>

#include "base/file.h"
#include "compressor/compress.h"
#include "compressor/model_file.h"
#include "compressor/search_space.h"
#include "compressor/testing/reference_activation_source.h"
#include "compressor/testing/sample_models.h"
#include "experiments/compression_bench/segment_runner.h"
#include "gtest/gtest.h"

namespace lathe {
namespace {

constexpr int64_t kSamples = 3;

Graph Glyphnet() {
  return *OpenModel(*ReadFile(std::string(LATHE_SOURCE_DIR) +
                              "/experiments/sample/glyphnet.onnx"));
}

std::vector<float> InputsOf(const Graph& graph) {
  const Tensor inputs = RandomInputs(graph, kSamples, /*seed=*/1)[0];
  const auto values = inputs.values<float>();
  return {values.begin(), values.end()};
}

std::vector<float> RunAll(const Graph& graph,
                          const std::vector<float>& activations) {
  return *SegmentRunner::Make(graph, kSamples)->Run(activations, kSamples);
}

std::vector<float> RunBySegments(const Graph& graph,
                                 std::vector<float> activations) {
  for (const Segment& segment : FindSegments(graph)) {
    activations = RunAll(*SegmentGraph(graph, segment), activations);
  }
  return activations;
}

Graph Joined(const Graph& graph) {
  std::vector<Graph> parts;
  for (const Segment& segment : FindSegments(graph)) {
    parts.push_back(*SegmentGraph(graph, segment));
  }
  std::vector<const Graph*> pointers;
  for (const Graph& part : parts) pointers.push_back(&part);
  return *Concatenate(pointers);
}

// int8 where it can be; narrow weights.
Graph Quantized(const Graph& graph) {
  const v1::SearchSpace space = *MakeSearchSpace(graph, {});
  v1::CompressionPlan plan;
  for (const v1::Layer& layer : space.layers()) {
    v1::LayerChoice* choice = plan.add_layers();
    choice->set_precision(v1::INT8);
    choice->set_weight_bits(4);
    choice->set_keep_ratio(1);
    (void)layer;
  }
  ReferenceActivationSource source(RandomInputs(graph, kSamples, /*seed=*/2),
                                   graph.parts().opset);
  const ActivationStats stats =
      *CollectActivationStats(graph, source, source.SampleCount());
  return *Compress(graph, space, plan, stats, source);
}

TEST(NetworkSegments, ResidualBlocksStayWhole) {
  const Graph graph = Glyphnet();
  const std::vector<Segment> segments = FindSegments(graph);
  ASSERT_GE(segments.size(), 4u);
  EXPECT_EQ(segments.front().first, 0);
  EXPECT_EQ(segments.back().last, static_cast<int>(graph.nodes().size()) - 1);
  for (size_t i = 1; i < segments.size(); ++i) {
    EXPECT_EQ(segments[i].first, segments[i - 1].last + 1);
    EXPECT_EQ(segments[i].input, segments[i - 1].output);
  }
}

TEST(NetworkSegments, RunOneByOneTheyAnswerAsTheWholeBitForBit) {
  const Graph graph = Glyphnet();
  for (const Graph& network : {graph, Quantized(graph)}) {
    const std::vector<float> inputs = InputsOf(network);
    const std::vector<float> whole = RunAll(network, inputs);
    EXPECT_EQ(RunBySegments(network, inputs), whole);
    EXPECT_EQ(RunAll(Joined(network), inputs), whole);
  }
}

TEST(NetworkSegments, SampleModelsToo) {
  if (!HasSampleData()) GTEST_SKIP() << kNoSampleData;
  for (const char* name : {"cifar10/resnet8.onnx", "kws/dscnn_tiny.onnx"}) {
    SCOPED_TRACE(name);
    const Graph graph = *OpenModel(*ReadFile(SampleDataDir() + "/" + name));
    const std::vector<float> inputs = InputsOf(graph);
    const std::vector<float> whole = RunAll(graph, inputs);
    EXPECT_GE(FindSegments(graph).size(), 4u);
    EXPECT_EQ(RunBySegments(graph, inputs), whole);
  }
}

}  // namespace
}  // namespace lathe

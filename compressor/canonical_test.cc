#include "compressor/canonical.h"

#include <string>
#include <vector>

#include "base/file.h"
#include "compressor/onnx.h"
#include "compressor/reference_ops.h"
#include "compressor/shape_inference.h"
#include "compressor/testing/sample_models.h"
#include "gtest/gtest.h"

namespace lathe {
namespace {

Graph ParseSample(const std::string& path) {
  const auto bytes = ReadFile(SampleDataDir() + "/" + path);
  EXPECT_TRUE(bytes.ok()) << bytes.status();
  auto graph = ParseOnnx(*bytes);
  EXPECT_TRUE(graph.ok()) << path << ": " << graph.status();
  return *std::move(graph);
}

std::string Describe(const Graph& graph) {
  std::string text;
  for (const Node& node : graph.nodes()) {
    text += node.name + " " + node.op_type + " +" +
            std::to_string(node.post_ops.size());
    for (const ValueId id : node.inputs) {
      text += id == kNoValue ? " -" : " " + graph.value(id).name;
    }
    text += " ->";
    for (const ValueId id : node.outputs) {
      text += id == kNoValue ? " -" : " " + graph.value(id).name;
    }
    text += "\n";
  }
  return text;
}

class SampleModel : public testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    if (!HasSampleData()) GTEST_SKIP() << kNoSampleData;
  }
};

TEST_P(SampleModel, ComputesInCanonicalFormWhatItComputedBefore) {
  const Graph parsed = ParseSample(GetParam());
  const auto canonical = Canonicalize(parsed);
  ASSERT_TRUE(canonical.ok()) << canonical.status();
  const std::vector<Tensor> inputs = RandomInputs(parsed, /*batch=*/2, 1);
  const auto expected = EvaluateGraph(parsed, inputs);
  const auto actual = EvaluateGraph(*canonical, inputs);
  ASSERT_TRUE(expected.ok()) << expected.status();
  ASSERT_TRUE(actual.ok()) << actual.status();
  for (size_t i = 0; i < expected->size(); ++i) {
    EXPECT_LT(LargestDifference((*actual)[i], (*expected)[i]), 1e-4);
  }
}

TEST_P(SampleModel, DoesNotChangeWhenMadeCanonicalTwice) {
  const auto once = Canonicalize(ParseSample(GetParam()));
  ASSERT_TRUE(once.ok()) << once.status();
  const auto twice = Canonicalize(*once);
  ASSERT_TRUE(twice.ok()) << twice.status();
  EXPECT_EQ(Describe(*once), Describe(*twice));
}

INSTANTIATE_TEST_SUITE_P(All, SampleModel, testing::ValuesIn(SampleModels()),
                         [](const auto& info) {
                           std::string name = info.param;
                           for (char& c : name) {
                             if (!std::isalnum(c)) c = '_';
                           }
                           return name;
                         });

}  // namespace
}  // namespace lathe

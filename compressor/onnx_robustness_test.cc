// Bytes that nobody meant as a model: nothing may crash or hang.
#include <random>
#include <string>

#include "absl/strings/str_cat.h"
#include "base/file.h"
#include "compressor/canonical.h"
#include "compressor/onnx.h"
#include "compressor/testing/sample_models.h"
#include "gtest/gtest.h"
#include "onnx/onnx_pb.h"

namespace lathe {
namespace {

TEST(ParseOnnx, SurvivesDeepNesting) {
  // Each round wraps the bytes as graph of an attribute of a node.
  std::string bytes;
  for (int depth = 0; depth < 300; ++depth) {
    onnx::GraphProto graph;
    onnx::AttributeProto* attribute = graph.add_node()->add_attribute();
    if (depth > 0 && !attribute->mutable_g()->ParseFromString(bytes)) break;
    bytes = graph.SerializeAsString();
  }
  onnx::ModelProto model;
  model.add_opset_import()->set_version(17);
  model.mutable_graph()->MergeFromString(bytes);
  EXPECT_FALSE(ParseOnnx(model.SerializeAsString()).ok());
}

TEST(ParseOnnx, SurvivesTruncationAnywhere) {
  if (!HasSampleData()) GTEST_SKIP() << kNoSampleData;
  const auto bytes = ReadFile(SampleDataDir() + "/cifar10/resnet8.onnx");
  ASSERT_TRUE(bytes.ok());
  int accepted = 0;
  for (size_t size = 0; size < bytes->size(); size += 97) {
    if (ParseOnnx(absl::string_view(*bytes).substr(0, size)).ok()) ++accepted;
  }
  EXPECT_EQ(accepted, 0);
}

// Parses, and takes what parses further: nothing may crash or hang.
TEST(ParseOnnx, SurvivesChangedBytes) {
  if (!HasSampleData()) GTEST_SKIP() << kNoSampleData;
  std::mt19937 generator(11);
  for (const char* path : {"mnist/mnist_lstm.onnx", "mnist/mnist_cnn.onnx",
                           "cifar10/vit_pgd_2_3_16.onnx"}) {
    const auto bytes = ReadFile(SampleDataDir() + "/" + path);
    ASSERT_TRUE(bytes.ok());
    for (int round = 0; round < 150; ++round) {
      std::string changed = *bytes;
      const int changes = 1 + static_cast<int>(generator() % 6);
      for (int i = 0; i < changes; ++i) {
        changed[generator() % changed.size()] = static_cast<char>(generator());
      }
      const auto graph = ParseOnnx(changed);
      if (!graph.ok()) continue;
      const auto canonical = Canonicalize(*graph);
      if (canonical.ok()) SerializeOnnx(*canonical).IgnoreError();
    }
  }
}

// A long chain must not take time that grows with its square.
TEST(ParseOnnx, TakesAHundredThousandNodes) {
  onnx::ModelProto model;
  model.set_ir_version(8);
  model.add_opset_import()->set_version(17);
  onnx::GraphProto* graph = model.mutable_graph();
  for (auto* info : {graph->add_input(), graph->add_output()}) {
    auto* type = info->mutable_type()->mutable_tensor_type();
    type->set_elem_type(onnx::TensorProto::FLOAT);
    type->mutable_shape()->add_dim()->set_dim_value(1);
  }
  constexpr int kNodes = 100000;
  graph->mutable_input(0)->set_name("v0");
  graph->mutable_output(0)->set_name(absl::StrCat("v", kNodes));
  for (int i = 0; i < kNodes; ++i) {
    onnx::NodeProto* node = graph->add_node();
    node->set_op_type(i % 2 == 0 ? "Identity" : "Relu");
    node->add_input(absl::StrCat("v", i));
    node->add_output(absl::StrCat("v", i + 1));
  }
  const auto parsed = ParseOnnx(model.SerializeAsString());
  ASSERT_TRUE(parsed.ok()) << parsed.status();
  const auto canonical = Canonicalize(*parsed);
  ASSERT_TRUE(canonical.ok()) << canonical.status();
  EXPECT_EQ(canonical->nodes().size(), kNodes / 2);
}

}  // namespace
}  // namespace lathe

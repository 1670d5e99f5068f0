// Networks of the data folder: the executor against the reference operators.
#include <cmath>
#include <cstdlib>
#include <fstream>
#include <string>

#include "base/file.h"
#include "compressor/canonical.h"
#include "compressor/onnx.h"
#include "compressor/reference_ops.h"
#include "compressor/shape_inference.h"
#include "evaluator/executor.h"
#include "evaluator/testing/compare.h"
#include "evaluator/testing/graph_builder.h"
#include "gtest/gtest.h"

namespace lathe {
namespace {

std::string DataPath(const std::string& name) {
  const char* folder = std::getenv("LATHE_DATA_DIR");
  const std::string root =
      folder != nullptr ? folder : LATHE_SOURCE_DIR "/../shared/data";
  return root + "/" + name;
}

class Networks : public testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    const std::string path = DataPath(GetParam());
    if (!std::ifstream(path)) GTEST_SKIP() << "no such file: " << path;
    const auto bytes = ReadFile(path);
    ASSERT_TRUE(bytes.ok()) << bytes.status();
    const auto parsed = ParseOnnx(*bytes);
    ASSERT_TRUE(parsed.ok()) << parsed.status();
    auto canonical = Canonicalize(*parsed);
    ASSERT_TRUE(canonical.ok()) << canonical.status();
    graph_ = *std::move(canonical);
    const auto shapes = InputShapes(*graph_, /*batch=*/1);
    ASSERT_TRUE(shapes.ok()) << shapes.status();
    std::mt19937 random(1);
    std::normal_distribution<float> normal;
    for (const Shape& shape : *shapes) {
      std::vector<float> values(ElementCount(shape));
      for (float& value : values) value = normal(random);
      inputs_.push_back(Tensor::Of<float>(shape, values));
    }
  }

  Graph InPrecision(v1::Precision precision) const {
    GraphParts parts = graph_->parts();
    for (Node& node : parts.nodes) {
      const bool is_layer = node.op_type == "Conv" || node.op_type == "Gemm" ||
                            node.op_type == "MatMul";
      if (is_layer && graph_->IsConstant(node.inputs[1])) {
        node.precision = precision;
      }
    }
    return *Graph::Create(std::move(parts));
  }

  std::optional<Graph> graph_;
  std::vector<Tensor> inputs_;
};

TEST_P(Networks, InFloat32GiveTheReferencesOutputs) {
  ExpectSameInFloat(*graph_, inputs_);
}

// Executor and reference differ where two ways of rounding part, which happens
// to few numbers; the grids themselves cost far more.
TEST_P(Networks, InInt8DifferFromTheReferenceLessThanFromFloat32) {
  GridOptions options;
  options.is_signed_where_negative = true;
  const Graph graph = WithGrids(InPrecision(v1::INT8), inputs_, options);
  const auto exact = EvaluateGraph(*graph_, inputs_);
  const auto rounded = EvaluateGraph(graph, inputs_);
  ASSERT_TRUE(exact.ok() && rounded.ok());
  const auto actual = Execute(graph, inputs_);
  for (size_t i = 0; i < actual.size(); ++i) {
    EXPECT_LE(RelativeError(actual[i], (*rounded)[i]),
              0.5 * RelativeError((*rounded)[i], (*exact)[i]) + 1e-4);
  }
}

INSTANTIATE_TEST_SUITE_P(
    Data, Networks,
    testing::Values("cifar10/resnet20.onnx", "cifar10/resnet8.onnx",
                    "cifar10/resnet8_wide.onnx", "cifar10/vit_pgd_2_3_16.onnx",
                    "cifar10/cct4_3x1.onnx", "imagenet/squeezenet1_1.onnx",
                    "kws/dscnn_tiny.onnx", "kws/lstm_arm_s.onnx",
                    "mnist/mnist_cnn.onnx", "mnist/mnist_lstm.onnx"),
    [](const auto& info) {
      std::string name = info.param;
      for (char& c : name) {
        if (!std::isalnum(static_cast<unsigned char>(c))) c = '_';
      }
      return name;
    });

}  // namespace
}  // namespace lathe

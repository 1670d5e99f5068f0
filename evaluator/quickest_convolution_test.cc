#include "evaluator/quickest_convolution.h"

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "evaluator/compile.h"
#include "evaluator/testing/graph_builder.h"
#include "gtest/gtest.h"

namespace lathe {
namespace {

struct Layer {
  ConvolutionSpec spec;
  Attributes attributes;
};

// 3 x 3, padded, 8-bit levels in and out.
Layer MakeLayer(int64_t in, int64_t out) {
  Layer layer;
  layer.spec.source = AnyDesc({1, in, 12, 12}, DataType::kUint8);
  layer.spec.weights = AnyDesc({out, in, 3, 3}, DataType::kInt8);
  layer.spec.destination = AnyDesc({1, out, 12, 12}, DataType::kUint8);
  layer.spec.has_bias = true;
  layer.spec.strides = {1, 1};
  layer.spec.dilations = {1, 1};
  layer.spec.pads_begin = {1, 1};
  layer.spec.pads_end = {1, 1};
  layer.attributes.scales = {0.01f};
  return layer;
}

FusedOp Relu() {
  FusedOp op;
  op.algorithm = dnnl::algorithm::eltwise_relu;
  return op;
}

TEST(MeasureQuickest, DoesNotTakeWhatComputesSomethingElse) {
  const Layer layer = MakeLayer(16, 16);
  const auto kernel = MakeConvolution(layer.spec, layer.attributes);
  ASSERT_TRUE(kernel.ok()) << kernel.status();
  Attributes other = layer.attributes;
  other.scales = {0.02f};
  const auto wrong = MakeConvolution(layer.spec, other);
  ASSERT_TRUE(wrong.ok()) << wrong.status();
  // Were results not looked at, the kernel that stands there often, and so
  // once by luck the quickest, would be taken.
  const std::vector<Kernel> kernels = {*kernel, *wrong, *wrong, *wrong};
  const auto quickest = MeasureQuickest(kernels, layer.spec, layer.attributes);
  ASSERT_TRUE(quickest.ok()) << quickest.status();
  EXPECT_EQ(*quickest, 0);
}

TEST(QuickestConvolution, IsOneOfTheLibrarysAndIsRemembered) {
  Layer layer = MakeLayer(48, 24);
  layer.attributes.ops = {Relu()};
  const auto kernels = MakeConvolutions(layer.spec, layer.attributes);
  ASSERT_TRUE(kernels.ok()) << kernels.status();
  const auto first = QuickestConvolution(layer.spec, layer.attributes);
  ASSERT_TRUE(first.ok()) << first.status();
  EXPECT_TRUE(
      std::any_of(kernels->begin(), kernels->end(), [&](const Kernel& kernel) {
        return kernel.implementation == first->implementation;
      }));
  for (const Kernel& kernel : *kernels) {
    EXPECT_TRUE(kernel.source == first->source);
    EXPECT_TRUE(kernel.destination == first->destination);
  }
  for (int i = 0; i < 10; ++i) {
    const auto again = QuickestConvolution(layer.spec, layer.attributes);
    ASSERT_TRUE(again.ok()) << again.status();
    EXPECT_EQ(again->implementation, first->implementation);
  }
}

TEST(QuickestConvolution, TellsTheErrorOfAConvolutionThatCannotBe) {
  Layer layer = MakeLayer(16, 16);
  layer.spec.strides = {1};
  EXPECT_FALSE(QuickestConvolution(layer.spec, layer.attributes).ok());
}

// --------------------------------------------------------------- whole graphs

// Residual blocks, strided, pointwise and depthwise, of odd channel counts.
Graph RandomNetwork(int seed) {
  GraphBuilder b(seed);
  const int64_t channels = b.Between(3, 40);
  ValueId x = AddConv(b, b.Input({2, 3, 11, 11}), 3, channels, v1::INT8);
  const ValueId y = AddConv(b, x, channels, channels, v1::INT8, 1);
  NodeSpec sum{"Conv",
               {y, b.Weights({channels, channels, 3, 3}, 0.1f),
                b.Weights({channels}, 0.1f), x}};
  sum.attributes = {{"pads", Attribute(std::vector<int64_t>{1, 1, 1, 1})}};
  sum.post_ops = {AddPostOp(3), ReluPostOp()};
  sum.precision = v1::INT8;
  x = b.Add(sum);
  NodeSpec depthwise{"Conv", {x, b.Weights({channels, 1, 3, 3}, 0.3f)}};
  depthwise.attributes = {{"group", Attribute(channels)},
                          {"strides", Attribute(std::vector<int64_t>{2, 2})}};
  depthwise.precision = v1::INT8;
  return b.Build({b.Add(depthwise)});
}

std::string OutputOf(Executor& executor, const std::vector<Tensor>& inputs) {
  for (size_t i = 0; i < inputs.size(); ++i) {
    const std::string& bytes = inputs[i].bytes();
    std::memcpy(executor.input(static_cast<int>(i)), bytes.data(),
                bytes.size());
  }
  EXPECT_TRUE(executor.Run().ok());
  return std::string(static_cast<const char*>(executor.output(0)),
                     ElementCount(executor.output_shapes()[0]) * sizeof(float));
}

TEST(QuickestConvolution, ChangesNoBitOfANetworksOutput) {
  int changed_kernels = 0;
  for (int seed = 1; seed <= 12; ++seed) {
    const Graph plain = RandomNetwork(seed);
    std::mt19937 random(seed);
    const std::vector<Tensor> inputs = RandomInputs(plain, random);
    GridOptions grids;
    grids.is_signed = seed % 3 == 0;
    grids.has_zero_points = seed % 3 == 1;
    const Graph graph = WithGrids(plain, inputs, grids);
    const std::vector<Shape> shapes = {inputs[0].shape()};
    ExecutorOptions options;
    const auto measured = CompileForShapes(graph, shapes, options);
    ASSERT_TRUE(measured.ok()) << measured.status();
    options.measures_kernels = false;
    const auto preferred = CompileForShapes(graph, shapes, options);
    ASSERT_TRUE(preferred.ok()) << preferred.status();
    EXPECT_TRUE(OutputOf(**measured, inputs) == OutputOf(**preferred, inputs))
        << "seed " << seed;
    ASSERT_EQ((*measured)->steps().size(), (*preferred)->steps().size());
    for (size_t i = 0; i < (*measured)->steps().size(); ++i) {
      changed_kernels += (*measured)->steps()[i].implementation !=
                         (*preferred)->steps()[i].implementation;
    }
  }
  if (changed_kernels == 0) {
    GTEST_SKIP() << "the library's preferred kernels are the quickest here";
  }
}

}  // namespace
}  // namespace lathe

// Resize, Pad, ConvTranspose and what folds images, alone and between layers,
// against the reference operators.
#include <map>
#include <string>
#include <vector>

#include "evaluator/executor.h"
#include "evaluator/testing/compare.h"
#include "evaluator/testing/graph_builder.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace lathe {
namespace {

using Ints = std::vector<int64_t>;
using Attributes = std::map<std::string, Attribute>;

TEST(ExecutorImages, ResizeIsRightInEveryModeBetweenLayers) {
  int seed = 0;
  for (const char* mode : {"nearest", "linear", "cubic"}) {
    for (const char* coordinates :
         {"half_pixel", "asymmetric", "align_corners", "pytorch_half_pixel",
          "half_pixel_symmetric"}) {
      const int64_t channels = kChannels[++seed % 3];
      SCOPED_TRACE(testing::Message() << mode << " " << coordinates);
      ExpectSame(
          [&](GraphBuilder& b, v1::Precision precision) {
            const ValueId x =
                AddConv(b, b.Input({2, 8, 6, 5}), 8, channels, precision);
            NodeSpec resize{
                "Resize",
                {x, kNoValue, kNoValue,
                 b.Integers({2, channels, b.Between(2, 13), b.Between(2, 13)})},
                {{"mode", std::string(mode)},
                 {"coordinate_transformation_mode", std::string(coordinates)}}};
            return b.Build({AddConv(b, b.Add(resize), channels, 8, precision)});
          },
          seed);
    }
  }
}

TEST(ExecutorImages, ResizeHasNoPlainLoopInOneToThreeDimensions) {
  for (const Shape& shape :
       {Shape{2, 3, 9}, Shape{1, 16, 5, 7}, Shape{1, 4, 3, 4, 5}}) {
    for (const char* mode : {"nearest", "linear"}) {
      GraphBuilder b(static_cast<int>(shape.size()));
      Ints sizes = shape;
      for (size_t d = 2; d < sizes.size(); ++d) sizes[d] *= 2;
      const ValueId y =
          b.Add({"Resize",
                 {b.Input(shape), kNoValue, kNoValue, b.Integers(sizes)},
                 {{"mode", std::string(mode)}}});
      ExpectQuick(b.Build({y}), "Resize", b.random());
    }
  }
}

TEST(ExecutorImages, PadsThatRepeatAreQuickBetweenLayers) {
  for (const char* mode : {"reflect", "edge"}) {
    for (int64_t channels : kChannels) {
      const auto make = [&](GraphBuilder& b, v1::Precision precision) {
        const ValueId x =
            AddConv(b, b.Input({2, 8, 6, 5}), 8, channels, precision);
        const ValueId y = b.Add({"Pad",
                                 {x, b.Integers({0, 0, 2, 1, 0, 0, 3, -1})},
                                 {{"mode", std::string(mode)}}});
        return b.Build({AddConv(b, y, channels, 8, precision)});
      };
      ExpectSame(make, static_cast<int>(channels));
      GraphBuilder b(1);
      ExpectQuick(make(b, v1::F32), "Pad", b.random());
    }
  }
}

TEST(ExecutorImages, NearestResizeBetweenInt8LayersMovesBytes) {
  GraphBuilder b(1);
  const ValueId x = AddConv(b, b.Input({1, 16, 6, 6}), 16, 16, v1::INT8);
  const ValueId y =
      b.Add({"Resize",
             {x, kNoValue, kNoValue, b.Integers({1, 16, 12, 12})},
             {{"mode", std::string("nearest")},
              {"coordinate_transformation_mode", std::string("asymmetric")},
              {"nearest_mode", std::string("floor")}}});
  const Graph graph = b.Build({AddConv(b, y, 16, 8, v1::INT8)});
  const auto inputs = RandomInputs(graph, b.random());
  const auto executor = Executor::Compile(WithGrids(graph, inputs, {}), {});
  ASSERT_TRUE(executor.ok()) << executor.status();
  std::vector<std::string> kinds;
  for (const StepInfo& step : (*executor)->steps()) kinds.push_back(step.kind);
  EXPECT_THAT(kinds, testing::ElementsAre("reorder", "conv", "resize", "conv",
                                          "reorder"));
}

TEST(ExecutorImages, TransposedConvolutionsOfEveryKindAreQuickAndRight) {
  struct Case {
    Shape in;
    Shape weights;
    Attributes attributes;
  };
  const Case cases[] = {
      {{2, 8, 5, 7}, {8, 6, 2, 2}, {{"strides", Ints{2, 2}}}},
      {{1, 16, 6, 6},
       {16, 16, 3, 3},
       {{"strides", Ints{2, 2}},
        {"pads", Ints{1, 1, 1, 1}},
        {"output_padding", Ints{1, 1}}}},
      {{1, 8, 4, 5},
       {8, 3, 3, 2},
       {{"group", int64_t{2}}, {"pads", Ints{0, 1, 2, 0}}}},
      {{1, 8, 6}, {8, 1, 4}, {{"group", int64_t{8}}, {"strides", Ints{3}}}},
      {{1, 4, 3, 4, 5}, {4, 5, 2, 3, 2}, {{"strides", Ints{2, 1, 2}}}},
      {{1, 4, 5, 5},
       {4, 4, 3, 3},
       {{"dilations", Ints{2, 1}},
        {"auto_pad", std::string("SAME_UPPER")},
        {"strides", Ints{2, 2}}}},
      {{1, 4, 5, 5},
       {4, 4, 3, 3},
       {{"strides", Ints{3, 2}}, {"output_shape", Ints{14, 10}}}}};
  for (const Case& c : cases) {
    SCOPED_TRACE(ShapeToString(c.weights));
    GraphBuilder b(3);
    const auto group = c.attributes.find("group");
    const int64_t out =
        c.weights[1] *
        (group == c.attributes.end() ? 1 : std::get<int64_t>(group->second));
    const ValueId y =
        b.Add({"ConvTranspose",
               {b.Input(c.in), b.Weights(c.weights, .3f), b.Weights({out}, 1)},
               c.attributes});
    ExpectQuick(b.Build({y}), "ConvTranspose", b.random());
  }
}

TEST(ExecutorImages, TransposedConvolutionStandsBetweenInt8Layers) {
  ExpectSame(
      [](GraphBuilder& b, v1::Precision precision) {
        const ValueId x = AddConv(b, b.Input({1, 8, 6, 6}), 8, 16, precision);
        const ValueId y = b.Add({"ConvTranspose",
                                 {x, b.Weights({16, 12, 2, 2}, .2f)},
                                 {{"strides", Ints{2, 2}}}});
        return b.Build({AddConv(b, y, 12, 8, precision)});
      },
      1);
}

TEST(ExecutorImages, TransposedConvolutionsOfAnySizeAreRight) {
  for (int seed = 0; seed < 40; ++seed) {
    SCOPED_TRACE(seed);
    GraphBuilder b(seed);
    const int64_t in = b.Between(1, 20);
    const int64_t out = b.Between(1, 36);
    Shape source = {b.Between(1, 2), in};
    Shape weights = {in, out};
    Ints strides;
    Ints begin;
    Ints end;
    Ints added;
    for (int64_t d = b.Between(1, 2); d > 0; --d) {
      source.push_back(b.Between(1, 7));
      weights.push_back(b.Between(1, 5));
      strides.push_back(b.Between(1, 3));
      begin.push_back(b.Between(0, (weights.back() - 1) / 2));
      end.push_back(b.Between(0, (weights.back() - 1) / 2));
      added.push_back(b.Between(0, strides.back() - 1));
    }
    begin.insert(begin.end(), end.begin(), end.end());
    const ValueId y = b.Add(
        {"ConvTranspose",
         {b.Input(source), b.Weights(weights, .3f), b.Weights({out}, 1)},
         {{"strides", strides}, {"pads", begin}, {"output_padding", added}}});
    ExpectQuick(b.Build({b.Add({"Relu", {y}})}), "ConvTranspose", b.random());
  }
}

TEST(ExecutorImages, SpaceAndDepthFoldInEveryLayout) {
  for (const char* op : {"DepthToSpace", "SpaceToDepth"}) {
    for (const char* mode : {"DCR", "CRD"}) {
      SCOPED_TRACE(testing::Message() << op << " " << mode);
      ExpectSame(
          [&](GraphBuilder& b, v1::Precision precision) {
            const ValueId x =
                AddConv(b, b.Input({2, 8, 6, 4}), 8, 16, precision);
            Attributes attributes = {{"blocksize", int64_t{2}}};
            const bool is_depth = std::string(op) == "DepthToSpace";
            if (is_depth) attributes["mode"] = std::string(mode);
            const ValueId y = b.Add({op, {x}, attributes});
            return b.Build({AddConv(b, y, is_depth ? 4 : 64, 8, precision)});
          },
          2);
    }
  }
}

}  // namespace
}  // namespace lathe

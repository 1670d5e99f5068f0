// Concat, Slice, Pad and pools between layers, in float32 and on grids.
#include <optional>
#include <string>
#include <vector>

#include "evaluator/executor.h"
#include "evaluator/movement.h"
#include "evaluator/testing/compare.h"
#include "evaluator/testing/graph_builder.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace lathe {
namespace {

using Ints = std::vector<int64_t>;

TEST(Executor, ConcatPutsPartsOfAnyChannelCountTogether) {
  for (int64_t channels : {8, 16, 24, 5}) {
    ExpectSame(
        [&](GraphBuilder& b, v1::Precision precision) {
          const ValueId x = b.Input({1 + channels % 2, 8, 6, 7});
          const ValueId left = AddConv(b, x, 8, channels, precision, 1);
          const ValueId right = AddConv(b, x, 8, 16, precision);
          const ValueId both =
              b.Add({"Concat", {left, right, left}, {{"axis", int64_t{1}}}});
          // A part that is read again, and one that an addition overwrites.
          NodeSpec last{"Conv",
                        {both, b.Weights({16, 16 + 2 * channels, 1, 1}, 0.1f),
                         kNoValue, right},
                        {},
                        {AddPostOp(3)},
                        precision};
          return b.Build({b.Add(last), b.Add({"Relu", {left}})});
        },
        static_cast<int>(channels));
  }
}

// oneDNN's reorders with zero points write wrong numbers into such parts.
TEST(Executor, ConcatTakesPartsFromGridsWithOtherZeroPoints) {
  for (int seed = 0; seed < 12; ++seed) {
    SCOPED_TRACE(seed);
    GraphBuilder b(seed);
    const int64_t left = b.Between(1, 40);
    const int64_t right = b.Between(1, 40);
    const ValueId x =
        b.Input({b.Between(1, 2), 8, b.Between(1, 8), b.Between(1, 8)});
    // Read by a layer of their own, so that each has its own grid.
    const ValueId a = b.Add(
        {"Conv", {x, b.Weights({left, 8, 1, 1}, 0.3f)}, {}, {}, v1::INT8});
    const ValueId c = b.Add(
        {"Conv", {x, b.Weights({right, 8, 1, 1}, 1.0f)}, {}, {}, v1::INT8});
    const ValueId read_a = AddConv(b, a, left, 4, v1::INT8, 1);
    const ValueId read_c = AddConv(b, c, right, 4, v1::INT8, 1);
    const ValueId both = b.Add({"Concat", {a, c, a}, {{"axis", int64_t{1}}}});
    const v1::Precision precision = seed % 3 == 0 ? v1::F32 : v1::INT8;
    const ValueId last = AddConv(b, both, 2 * left + right, 8, precision, 1);
    const Graph graph = b.Build({last, read_a, read_c});
    const auto inputs = RandomInputs(graph, b.random());
    GridOptions options;
    options.has_zero_points = true;
    ExpectSameOnGrids(WithGrids(graph, inputs, options), inputs);
  }
}

TEST(Executor, ConcatAlongOtherAxesIsRight) {
  for (int64_t axis : {0, 2, 3, -1}) {
    ExpectSame(
        [&](GraphBuilder& b, v1::Precision precision) {
          const ValueId x = b.Input({1, 8, 6, 7});
          const ValueId left = AddConv(b, x, 8, 16, precision);
          const ValueId right = AddConv(b, x, 8, 16, precision, 1);
          const ValueId both =
              b.Add({"Concat", {left, right}, {{"axis", axis}}});
          return b.Build({AddConv(b, both, 16, 8, precision)});
        },
        static_cast<int>(axis) + 10);
  }
}

TEST(Executor, AnIndexBeyondTheInputIsAnError) {
  for (const int64_t index : {3, -4}) {
    GraphBuilder b(1);
    const ValueId x = b.Input({2, 3, 4});
    GraphParts parts =
        b
            .Build({b.Add(
                {"Gather", {x, b.Integers({index})}, {{"axis", int64_t{1}}}})})
            .parts();
    Value& value = parts.values[parts.nodes[0].inputs[1]];
    value.constant = Tensor::Of<int64_t>({}, std::vector<int64_t>{index});
    value.shape = {};
    const auto executor = Executor::Compile(*Graph::Create(parts), {2});
    const absl::Status status =
        executor.ok() ? (*executor)->Run() : executor.status();
    EXPECT_TRUE(absl::IsInvalidArgument(status)) << status;
  }
}

// Some of oneDNN's convolutions want blocks of 4 channels.
TEST(DescLike, TakesChannelsLastForBlocksItDoesNotKnow) {
  using Tag = dnnl::memory::format_tag;
  for (const Tag tag : {Tag::nChw4c, Tag::nChw8c, Tag::nChw16c}) {
    const MemoryDesc like({1, 16, 3, 2}, dnnl::memory::data_type::f32, tag);
    const Shape shape = {2, 32, 5, 4};
    const MemoryDesc desc = DescLike(like, shape, DataType::kFloat32);
    const std::optional<Layout> layout = DescribeLayout(desc);
    ASSERT_TRUE(layout);
    EXPECT_EQ(layout->dims, shape);
    EXPECT_EQ(layout->channel_block,
              tag == Tag::nChw4c ? 1 : DescribeLayout(like)->channel_block);
  }
}

// The shortcut of ResNets without projection: every second pixel, and zeros
// for the channels that are new.
ValueId Shortcut(GraphBuilder& b, ValueId x, int64_t before, int64_t after) {
  const ValueId slice = b.Add({"Slice",
                               {x, b.Integers({0, 0}), b.Integers({100, 100}),
                                b.Integers({2, 3}), b.Integers({2, 2})}});
  return b.Add({"Pad", {slice, b.Integers({0, before, 0, 0, 0, after, 0, 0})}});
}

TEST(Executor, SlicedAndPaddedShortcutsAreRight) {
  for (int64_t before : {0, 4, 8}) {
    ExpectSame(
        [&](GraphBuilder& b, v1::Precision precision) {
          const ValueId x = AddConv(b, b.Input({2, 3, 8, 8}), 3, 16, precision);
          NodeSpec strided{
              "Conv",
              {x, b.Weights({24 + before, 16, 3, 3}, 0.1f), kNoValue,
               Shortcut(b, x, before, 8)},
              {{"pads", Ints{1, 1, 1, 1}}, {"strides", Ints{2, 2}}},
              {AddPostOp(3), ReluPostOp()},
              precision};
          const ValueId y = b.Add(strided);
          return b.Build({AddConv(b, y, 24 + before, 8, precision), y});
        },
        static_cast<int>(before));
  }
}

TEST(Executor, SlicedAndPaddedShortcutsAreOneStepWithoutReorders) {
  GraphBuilder b(1);
  const ValueId x = AddConv(b, b.Input({1, 16, 8, 8}), 16, 16, v1::INT8);
  NodeSpec strided{
      "Conv",
      {x, b.Weights({32, 16, 3, 3}, 0.1f), kNoValue, Shortcut(b, x, 8, 8)},
      {{"pads", Ints{1, 1, 1, 1}}, {"strides", Ints{2, 2}}},
      {AddPostOp(3), ReluPostOp()},
      v1::INT8};
  const Graph graph = b.Build({AddConv(b, b.Add(strided), 32, 16, v1::INT8)});
  const auto inputs = RandomInputs(graph, b.random());
  const auto executor = Executor::Compile(WithGrids(graph, inputs, {}), {});
  ASSERT_TRUE(executor.ok()) << executor.status();
  std::vector<std::string> kinds;
  for (const StepInfo& step : (*executor)->steps()) kinds.push_back(step.kind);
  // The last reorder makes the output row-major.
  EXPECT_THAT(kinds, testing::ElementsAre("reorder", "conv", "pad", "conv",
                                          "conv", "reorder"));
}

TEST(Executor, ASliceWithNegativeStepsAndAPadWithAValueAreRight) {
  ExpectSame(
      [](GraphBuilder& b, v1::Precision precision) {
        const ValueId x = AddConv(b, b.Input({1, 4, 6, 6}), 4, 8, precision);
        const ValueId slice =
            b.Add({"Slice",
                   {x, b.Integers({-1, 5}), b.Integers({-100, 0}),
                    b.Integers({1, 3}), b.Integers({-2, -1})}});
        const ValueId value = b.Weights({}, 1);
        const ValueId pad = b.Add(
            {"Pad", {slice, b.Integers({0, 1, 2, 0, 0, 3, 0, 1}), value}});
        return b.Build({AddConv(b, pad, 8, 8, precision), slice});
      },
      5);
}

TEST(Executor, PoolsAreRightInEveryEncoding) {
  const std::vector<NodeSpec> pools = {{"MaxPool",
                                        {},
                                        {{"kernel_shape", Ints{3, 3}},
                                         {"strides", Ints{2, 2}},
                                         {"ceil_mode", int64_t{1}}}},
                                       {"MaxPool",
                                        {},
                                        {{"kernel_shape", Ints{2, 2}},
                                         {"strides", Ints{2, 2}},
                                         {"pads", Ints{1, 0, 0, 1}}}},
                                       {"AveragePool",
                                        {},
                                        {{"kernel_shape", Ints{3, 3}},
                                         {"pads", Ints{1, 1, 1, 1}},
                                         {"strides", Ints{2, 1}}}},
                                       {"AveragePool",
                                        {},
                                        {{"kernel_shape", Ints{3, 2}},
                                         {"pads", Ints{1, 1, 1, 1}},
                                         {"count_include_pad", int64_t{1}}}},
                                       {"AveragePool",
                                        {},
                                        {{"kernel_shape", Ints{3, 3}},
                                         {"strides", Ints{2, 2}},
                                         {"ceil_mode", int64_t{1}},
                                         {"count_include_pad", int64_t{1}}}},
                                       {"GlobalAveragePool"},
                                       {"GlobalMaxPool"}};
  for (size_t i = 0; i < pools.size(); ++i) {
    ExpectSame(
        [&](GraphBuilder& b, v1::Precision precision) {
          const ValueId x = AddConv(b, b.Input({2, 3, 9, 8}), 3, 20, precision);
          NodeSpec pool = pools[i];
          pool.inputs = {x};
          const ValueId y = b.Add(pool);
          return b.Build({AddConv(b, y, 20, 8, precision, 1),
                          AddConv(b, x, 20, 8, precision)});
        },
        static_cast<int>(i));
  }
}

}  // namespace
}  // namespace lathe

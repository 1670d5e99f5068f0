// Operators with kernels or loops of their own, alone and between layers,
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

TEST(ExecutorOperators, WhereBroadcastsInAnyWay) {
  for (int seed = 0; seed < 12; ++seed) {
    SCOPED_TRACE(seed);
    GraphBuilder b(seed);
    const Shape full = {2, 3, 4, 5};
    const auto some = [&] {
      Shape shape = full;
      for (int64_t& size : shape) size = b.Between(0, 2) == 0 ? 1 : size;
      shape.erase(shape.begin(), shape.begin() + b.Between(0, 3));
      return shape;
    };
    const ValueId x = b.Input(full);
    const ValueId condition = b.Add({"Greater", {x, b.Weights(some(), 1)}});
    const ValueId y =
        seed % 2 == 0
            ? b.Add({"Where", {condition, b.Weights(some(), 1), x}})
            : b.Add({"Where",
                     {condition, b.Weights(some(), 1), b.Weights(some(), 1)}});
    ExpectQuick(b.Build({y}), "Where", b.random());
  }
}

TEST(ExecutorOperators, ArithmeticBroadcastsInAnyWay) {
  int seed = 0;
  for (const char* op : {"Add", "Sub", "Mul", "Div", "Max", "Min"}) {
    for (int variant = 0; variant < 12; ++variant) {
      SCOPED_TRACE(testing::Message() << op << " variant " << variant);
      GraphBuilder b(++seed);
      const auto some = [&] {
        Shape shape = {2, 3, 5, 37};
        for (int64_t& size : shape) size = b.Between(0, 2) == 0 ? 1 : size;
        shape.erase(shape.begin(), shape.begin() + b.Between(0, 3));
        return shape;
      };
      const Shape fixed = some();
      NodeSpec spec{op,
                    {b.Input(some()),
                     variant % 3 == 0 ? b.Weights(fixed, 1) : b.Input(fixed)}};
      if (variant % 4 == 0) spec.post_ops = {ReluPostOp()};
      ExpectQuick(b.Build({b.Add(spec)}), op, b.random());
    }
  }
}

// Networks that transpose around their normalisations, as some vision
// transformers do: nothing is put in order in between.
TEST(ExecutorOperators, ArithmeticRunsInTheOrderThatNumbersLieIn) {
  for (const char* op : {"Add", "Sub", "Mul", "Div"}) {
    for (bool is_first : {false, true}) {
      for (const Shape& shape : {Shape{24, 1}, Shape{1, 24, 1}, Shape{10},
                                 Shape{1, 24, 10}, Shape{}, Shape{1, 1, 10}}) {
        SCOPED_TRACE(testing::Message() << op << ShapeToString(shape));
        GraphBuilder b(7);
        const auto transposed = [&](ValueId x) {
          return b.Add(
              {"Transpose", {x}, {{"perm", std::vector<int64_t>{0, 2, 1}}}});
        };
        const ValueId x = transposed(b.Input({1, 10, 24}));
        const ValueId other = b.Weights(shape, 1);
        const ValueId y =
            b.Add({op, {is_first ? other : x, is_first ? x : other}});
        const ValueId z =
            b.Add({"MatMul", {transposed(y), b.Weights({24, 8}, 1)}});
        const Graph graph = b.Build({z});
        ExpectQuick(graph, op, b.random());
        const auto executor = Executor::Compile(graph, {});
        ASSERT_TRUE(executor.ok()) << executor.status();
        for (const StepInfo& step : (*executor)->steps()) {
          EXPECT_FALSE(step.is_reorder) << step.name;
        }
      }
    }
  }
}

TEST(ExecutorOperators, CumSumOfAnyAxisEitherWay) {
  int seed = 0;
  for (int64_t axis : {0, 1, 2, -1}) {
    for (int64_t is_exclusive : {0, 1}) {
      for (int64_t is_reverse : {0, 1}) {
        SCOPED_TRACE(testing::Message() << axis << is_exclusive << is_reverse);
        GraphBuilder b(++seed);
        const ValueId x = b.Input({3, 4, 5, 19});
        const ValueId y =
            b.Add({"CumSum",
                   {x, b.Integers({axis})},
                   {{"exclusive", is_exclusive}, {"reverse", is_reverse}}});
        ExpectQuick(b.Build({y}), "CumSum", b.random());
      }
    }
  }
}

TEST(ExecutorOperators, SplitPiecesAreReadAndOverwritten) {
  for (int64_t batch : {1, 2}) {
    for (int64_t piece : {16, 8, 5}) {
      ExpectSame(
          [&](GraphBuilder& b, v1::Precision precision) {
            const ValueId x = AddConv(b, b.Input({batch, 8, 6, 5}), 8,
                                      16 + piece + 16, precision);
            const std::vector<ValueId> parts =
                b.AddMany({"Split",
                           {x, b.Integers({16, piece, 16})},
                           {{"axis", int64_t{1}}}},
                          3);
            // A sum in place must not touch its neighbours.
            NodeSpec sum{"Conv",
                         {parts[1], b.Weights({16, piece, 1, 1}, .2f), kNoValue,
                          parts[0]},
                         {},
                         {AddPostOp(3)},
                         precision};
            const ValueId y = b.Add(sum);
            const ValueId z = AddConv(b, parts[2], 16, 16, precision);
            return b.Build({b.Add({"Add", {y, z}}), b.Add({"Relu", {x}}),
                            b.Add({"Relu", {parts[0]}})});
          },
          static_cast<int>(piece));
    }
  }
}

TEST(ExecutorOperators, SplitOfAnyAxisIsQuick) {
  for (int64_t axis : {0, 1, 2, -1}) {
    GraphBuilder b(static_cast<int>(axis) + 2);
    const ValueId x = b.Input({4, 6, 8, 10});
    const Shape shape = {4, 6, 8, 10};
    const int64_t size = shape[axis < 0 ? axis + 4 : axis];
    const auto parts = b.AddMany({"Split",
                                  {x, b.Integers({size / 2 - 1, size / 2 + 1})},
                                  {{"axis", axis}}},
                                 2);
    ExpectQuick(b.Build(parts), "Split", b.random());
  }
}

TEST(ExecutorOperators, GatherTakesListsOfPlaces) {
  for (int64_t axis : {0, 1, 2, -1}) {
    GraphBuilder b(4);
    const ValueId y = b.Add({"Gather",
                             {b.Input({4, 5, 6, 7}), b.Integers({3, -1, 0, 3})},
                             {{"axis", axis}}});
    ExpectQuick(b.Build({y}), "Gather", b.random());
  }
}

TEST(ExecutorOperators, ExpandAndTileRepeat) {
  GraphBuilder b(5);
  const ValueId x = b.Input({3, 1, 5});
  const ValueId y = b.Add({"Expand", {x, b.Integers({2, 3, 4, 5})}});
  const ValueId z = b.Add({"Tile", {x, b.Integers({2, 3, 2})}});
  const ValueId same = b.Add({"Expand", {x, b.Integers({1, 1, 1})}});
  const Graph graph = b.Build({y, z, same});
  ExpectQuick(graph, "Expand", b.random());
  EXPECT_THAT(Implementations(graph, "Tile"), testing::ElementsAre("copy"));
}

TEST(ExecutorOperators, ReductionsOfNeighbouringAxesAreQuick) {
  int seed = 0;
  for (const char* op : {"ReduceSum", "ReduceMean", "ReduceMax", "ReduceMin",
                         "ReduceL1", "ReduceL2", "ReduceSumSquare"}) {
    for (const Ints& axes :
         {Ints{2, 3}, Ints{1}, Ints{-1}, Ints{0, 1}, Ints{1, 2}, Ints{}}) {
      SCOPED_TRACE(testing::Message() << op << " " << ShapeToString(axes));
      GraphBuilder b(++seed);
      const ValueId x = b.Input({3, 17, 5, 33});
      Attributes attributes = {{"keepdims", int64_t{seed % 2}}};
      NodeSpec node{op, {x}, attributes};
      const bool takes_input = std::string(op) == "ReduceSum";
      if (takes_input && !axes.empty()) node.inputs.push_back(b.Integers(axes));
      if (!takes_input && !axes.empty()) node.attributes["axes"] = axes;
      ExpectQuick(b.Build({b.Add(node)}), op, b.random());
    }
  }
}

TEST(ExecutorOperators, ReductionsOfPlanesBehindLayersArePools) {
  for (const char* op : {"ReduceMean", "ReduceMax"}) {
    for (int64_t keeps : {0, 1}) {
      ExpectSame(
          [&](GraphBuilder& b, v1::Precision precision) {
            const ValueId x =
                AddConv(b, b.Input({2, 8, 6, 5}), 8, 24, precision);
            const ValueId y =
                b.Add({op, {x}, {{"axes", Ints{2, 3}}, {"keepdims", keeps}}});
            const ValueId flat = b.Add({"Flatten", {y}});
            NodeSpec gemm{"Gemm", {flat, b.Weights({24, 10}, .2f)}};
            gemm.precision = precision;
            return b.Build({b.Add(gemm), y});
          },
          static_cast<int>(keeps));
    }
  }
}

TEST(ExecutorOperators, ReductionOfManyNumbersIsExactEnough) {
  GraphBuilder b(6);
  const ValueId x = b.Input({1, 1 << 20});
  const Graph graph =
      b.Build({b.Add({"ReduceMean", {x}, {{"axes", Ints{1}}}})});
  const std::vector<float> tenths(1 << 20, 0.1f);
  const auto outputs =
      Execute(graph, {Tensor::Of<float>({1, 1 << 20}, tenths)});
  EXPECT_NEAR(outputs[0].values<float>()[0], 0.1f, 1e-7);
}

TEST(ExecutorOperators, NormalisationsAreQuick) {
  GraphBuilder b(7);
  const ValueId x = b.Input({2, 12, 5, 7});
  const auto vector = [&](int64_t size) { return b.Weights({size}, 1); };
  const ValueId instance =
      b.Add({"InstanceNormalization", {x, vector(12), vector(12)}});
  ExpectQuick(b.Build({instance}), "InstanceNormalization", b.random());
  for (int64_t opset : {18, 21}) {
    GraphBuilder g(8);
    const int64_t numbers = opset == 21 ? 12 : 3;
    const ValueId y = g.Add({"GroupNormalization",
                             {g.Input({2, 12, 5, 7}), g.Weights({numbers}, 1),
                              g.Weights({numbers}, 1)},
                             {{"num_groups", int64_t{3}}}});
    ExpectQuick(g.Build({y}, opset), "GroupNormalization", g.random());
  }
  for (int64_t axis : {-1, 1, 2}) {
    const Shape tail = axis == -1  ? Shape{7}
                       : axis == 2 ? Shape{5, 7}
                                   : Shape{12, 5, 7};
    GraphBuilder g(9);
    const ValueId in = g.Input({2, 12, 5, 7});
    const ValueId layer = g.Add({"LayerNormalization",
                                 {in, g.Weights(tail, 1), g.Weights(tail, 1)},
                                 {{"axis", axis}, {"epsilon", 1e-3f}}});
    ExpectQuick(g.Build({layer}), "LayerNormalization", g.random());
    const ValueId rms =
        g.Add({"RMSNormalization", {in, g.Weights(tail, 1)}, {{"axis", axis}}});
    ExpectQuick(g.Build({rms}, 23), "RMSNormalization", g.random());
  }
}

TEST(ExecutorOperators, SoftmaxOfAnyAxisIsQuick) {
  for (int64_t opset : {11, 17}) {
    for (int64_t axis : {0, 1, 2, -1}) {
      for (const char* op : {"Softmax", "LogSoftmax"}) {
        GraphBuilder b(12);
        const ValueId y =
            b.Add({op, {b.Input({3, 21, 5, 37})}, {{"axis", axis}}});
        const Graph graph = b.Build({y}, opset);
        ExpectSameInFloat(graph, RandomInputs(graph, b.random()));
        if (std::string(op) == "Softmax") {
          ExpectQuick(graph, op, b.random());
        }
      }
    }
  }
}

TEST(ExecutorOperators, PReluByChannelKeepsTheLayout) {
  for (int64_t channels : kChannels) {
    ExpectSame(
        [&](GraphBuilder& b, v1::Precision precision) {
          const ValueId x =
              AddConv(b, b.Input({1, 8, 6, 5}), 8, channels, precision);
          const ValueId y =
              b.Add({"PRelu", {x, b.Weights({channels, 1, 1}, 1)}});
          return b.Build({AddConv(b, y, channels, 8, precision)});
        },
        static_cast<int>(channels));
  }
}

TEST(ExecutorOperators, ResponseNormalisationIsRight) {
  for (int64_t size : {1, 4, 5}) {
    for (int64_t channels : kChannels) {
      GraphBuilder b(11);
      const ValueId x = b.Input({2, channels, 4, 5});
      const ValueId y =
          b.Add({"LRN", {x}, {{"size", size}, {"alpha", .3f}, {"bias", 2.f}}});
      const Graph graph = b.Build({y});
      ExpectSameInFloat(graph, RandomInputs(graph, b.random()));
    }
  }
}

TEST(ExecutorOperators, EinsumOfTwoIsAProduct) {
  struct Case {
    const char* equation;
    Shape first;
    Shape second;
  };
  const Case cases[] = {{"bmhd,bnhd->bhmn", {2, 5, 3, 4}, {2, 6, 3, 4}},
                        {"bhmn,bnhd->bmhd", {2, 3, 5, 6}, {2, 6, 3, 4}},
                        {"abc,cd->abd", {2, 3, 5}, {5, 7}},
                        {"abc, cde -> abde", {2, 3, 5}, {5, 2, 3}},
                        {"ij,kl->ijkl", {2, 3}, {4, 5}},
                        {"ab,ab->", {4, 5}, {4, 5}},
                        {"ij,jk->ki", {4, 5}, {5, 6}}};
  for (const Case& c : cases) {
    SCOPED_TRACE(c.equation);
    GraphBuilder b(1);
    const ValueId y = b.Add({"Einsum",
                             {b.Input(c.first), b.Input(c.second)},
                             {{"equation", std::string(c.equation)}}});
    ExpectQuick(b.Build({y}), "Einsum", b.random());
  }
  // A sum of one factor alone, and a diagonal.
  for (const char* equation : {"ab,bc->c", "aa,ab->b"}) {
    SCOPED_TRACE(equation);
    GraphBuilder b(1);
    const ValueId y = b.Add({"Einsum",
                             {b.Input({4, 4}), b.Input({4, 4})},
                             {{"equation", std::string(equation)}}});
    const Graph graph = b.Build({y});
    ExpectSameInFloat(graph, RandomInputs(graph, b.random()));
  }
}

TEST(ExecutorOperators, SmallPowersAreQuick) {
  for (float power : {2.f, 3.f, -1.f, 0.5f}) {
    GraphBuilder b(1);
    const ValueId x = b.Add({"Exp", {b.Input({3, 37})}});
    const ValueId y = b.Add({"Pow", {x, b.Number(power)}});
    const Graph graph = b.Build({y});
    ExpectSameInFloat(graph, RandomInputs(graph, b.random()));
  }
}

TEST(ExecutorOperators, ValuesOfManyDimensionsAreRead) {
  GraphBuilder b(1);
  const ValueId x = AddConv(b, b.Input({1, 8, 4, 4}), 8, 16, v1::F32);
  const Ints many = {1, 2, 2, 2, 2, 1, 2, 2, 1, 2, 2, 1, 1, 1};
  const ValueId y = b.Add({"Reshape", {x, b.Integers(many)}});
  const ValueId z =
      b.Add({"ReduceMax", {b.Add({"Relu", {y}})}, {{"axes", Ints{1, 3, -2}}}});
  const ValueId back = b.Add({"Reshape", {y, b.Integers({1, 16, 4, 4})}});
  const Graph graph = b.Build({z, AddConv(b, back, 16, 8, v1::F32)});
  ExpectSameInFloat(graph, RandomInputs(graph, b.random()));
}

}  // namespace
}  // namespace lathe

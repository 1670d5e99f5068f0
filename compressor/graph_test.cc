#include "compressor/graph.h"

#include <functional>
#include <limits>
#include <string>
#include <vector>

#include "compressor/shape_inference.h"
#include "compressor/testing/net_builder.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace lathe {
namespace {

// x -> Relu a -> y, x -> Add b (y, x) -> z.
GraphParts SmallParts() {
  GraphParts parts;
  parts.values.resize(3);
  parts.values[0].name = "x";
  parts.values[1].name = "y";
  parts.values[2].name = "z";
  Node relu;
  relu.name = "a";
  relu.op_type = "Relu";
  relu.inputs = {0};
  relu.outputs = {1};
  Node add;
  add.name = "b";
  add.op_type = "Add";
  add.inputs = {1, 0};
  add.outputs = {2};
  parts.nodes = {relu, add};
  parts.inputs = {0};
  parts.outputs = {2};
  return parts;
}

TEST(Graph, KnowsProducersAndConsumers) {
  const auto graph = Graph::Create(SmallParts());
  ASSERT_TRUE(graph.ok()) << graph.status();
  EXPECT_EQ(graph->Producer(0), std::nullopt);
  EXPECT_EQ(graph->Producer(2), 1);
  EXPECT_EQ(graph->Producer(kNoValue), std::nullopt);
  EXPECT_THAT(graph->Consumers(0), testing::ElementsAre(0, 1));
  EXPECT_THAT(graph->Consumers(2), testing::IsEmpty());
  EXPECT_TRUE(graph->IsOutput(2));
  EXPECT_FALSE(graph->IsOutput(1));
}

TEST(Graph, ListsAConsumerOnceThoughItReadsTwice) {
  GraphParts parts = SmallParts();
  parts.nodes[1].inputs = {0, 0};
  const auto graph = Graph::Create(parts);
  ASSERT_TRUE(graph.ok()) << graph.status();
  EXPECT_THAT(graph->Consumers(0), testing::ElementsAre(0, 1));
}

struct BadParts {
  const char* what;
  std::function<void(GraphParts&)> spoil;
  const char* message;
};

TEST(Graph, RefusesPartsThatDoNotFit) {
  const BadParts cases[] = {
      {"an input id out of range",
       [](GraphParts& p) { p.nodes[0].inputs = {7}; }, "\"a\""},
      {"a negative id", [](GraphParts& p) { p.nodes[0].inputs = {-2}; },
       "\"a\""},
      {"an output id out of range",
       [](GraphParts& p) { p.nodes[1].outputs = {3}; }, "\"b\""},
      {"a value used before it is made",
       [](GraphParts& p) { std::swap(p.nodes[0], p.nodes[1]); }, "\"b\""},
      {"a value made twice", [](GraphParts& p) { p.nodes[1].outputs = {1}; },
       "\"b\""},
      {"an input that a node makes",
       [](GraphParts& p) { p.nodes[1].outputs = {0}; }, "\"b\""},
      {"a constant that a node makes",
       [](GraphParts& p) { p.values[2].constant = Tensor(); }, "\"b\""},
      {"an input that is constant",
       [](GraphParts& p) { p.values[0].constant = Tensor(); }, "\"x\""},
      {"an input that stands twice",
       [](GraphParts& p) {
         p.inputs = {0, 0};
       },
       "\"x\""},
      {"two nodes of one name", [](GraphParts& p) { p.nodes[1].name = "a"; },
       "\"a\""},
      {"a node without outputs",
       [](GraphParts& p) { p.nodes[1].outputs.clear(); }, "\"b\""},
      {"an output that nothing makes",
       [](GraphParts& p) { p.nodes.pop_back(); }, "\"z\""},
      {"an output id out of range", [](GraphParts& p) { p.outputs = {9}; },
       "output"},
      {"a post-op that adds an input that is not there",
       [](GraphParts& p) {
         p.nodes[1].post_ops = {PostOp{PostOp::Kind::kAdd}};
         p.nodes[1].post_ops[0].input = 2;
       },
       "\"b\""},
  };
  for (const BadParts& bad : cases) {
    GraphParts parts = SmallParts();
    bad.spoil(parts);
    const auto graph = Graph::Create(parts);
    EXPECT_TRUE(absl::IsInvalidArgument(graph.status())) << bad.what;
    EXPECT_THAT(std::string(graph.status().message()),
                testing::HasSubstr(bad.message))
        << bad.what;
  }
}

TEST(Node, GivesAttributesOrTheirFallback) {
  Node node;
  node.attributes["group"] = int64_t{3};
  node.attributes["alpha"] = 0.5f;
  node.attributes["mode"] = std::string("edge");
  node.attributes["pads"] = std::vector<int64_t>{1, 2};
  EXPECT_EQ(node.IntOr("group", 1), 3);
  EXPECT_EQ(node.IntOr("alpha", 1), 1);
  EXPECT_EQ(node.FloatOr("alpha", 1), 0.5f);
  EXPECT_EQ(node.StringOr("mode", ""), "edge");
  EXPECT_THAT(node.IntsOr("pads", {}), testing::ElementsAre(1, 2));
  EXPECT_THAT(node.IntsOr("axes", {4}), testing::ElementsAre(4));
}

TEST(Node, CountsTheInputsOfTheOperatorItself) {
  Node node;
  node.inputs = {0, 1, kNoValue, 5, 6};
  EXPECT_EQ(node.OperatorInputs(), 5);
  PostOp relu;
  PostOp add{PostOp::Kind::kAdd};
  add.input = 4;
  PostOp first{PostOp::Kind::kAdd};
  first.input = 3;
  node.post_ops = {relu, first, add};
  EXPECT_EQ(node.OperatorInputs(), 3);
}

TEST(Tensor, SaysItsShapeAndType) {
  EXPECT_EQ(ShapeToString({1, kDynamic, 32}), "[1, ?, 32]");
  EXPECT_EQ(ShapeToString({}), "[]");
  EXPECT_EQ(ElementCount({}), 1);
  EXPECT_EQ(ElementCount({2, 0, 3}), 0);
  EXPECT_STREQ(DataTypeName(DataType::kBfloat16), "bfloat16");
  EXPECT_EQ(ElementBytes(DataType::kBool), 1u);
  EXPECT_EQ(ElementBytes(DataType::kFloat64), 8u);
}

// ----------------------------------------------------------- InferShapes

TEST(InputShapes, FillsInTheBatchAndNothingElse) {
  NetBuilder net(1);
  const ValueId x = net.Input({kDynamic, 3, 8, 8});
  const Graph graph = net.Build({net.Op("Relu", {x})});
  const auto shapes = InputShapes(graph, 5);
  ASSERT_TRUE(shapes.ok()) << shapes.status();
  EXPECT_THAT(*shapes, testing::ElementsAre(Shape{5, 3, 8, 8}));
}

TEST(InputShapes, RefusesWhatItCannotKnow) {
  for (const Shape& shape : {Shape{1, 3}, Shape{kDynamic, kDynamic}}) {
    NetBuilder net(1);
    const ValueId x = net.Input(shape);
    const Graph graph = net.Build({net.Op("Relu", {x})});
    const auto shapes = InputShapes(graph, 2);
    EXPECT_TRUE(absl::IsInvalidArgument(shapes.status()));
    EXPECT_THAT(std::string(shapes.status().message()),
                testing::HasSubstr("\"input0\""));
  }
}

TEST(InferShapes, ComputesWhatFollowsFromShapesAlone) {
  NetBuilder net(1);
  const ValueId x = net.Input({kDynamic, 4, 6});
  const ValueId shape = net.Op("Shape", {x});
  const ValueId batch = net.Op("Gather", {shape, net.Ints({0})});
  const ValueId target =
      net.Op("Concat", {batch, net.Ints({-1})}, {{"axis", int64_t{0}}});
  const ValueId y = net.Op("Reshape", {x, target});
  const Graph graph = net.Build({y});
  const auto infos = InferShapes(graph, {{5, 4, 6}});
  ASSERT_TRUE(infos.ok()) << infos.status();
  EXPECT_EQ((*infos)[y].shape, (Shape{5, 24}));
  ASSERT_TRUE((*infos)[target].constant.has_value());
  EXPECT_THAT((*infos)[target].constant->values<int64_t>(),
              testing::ElementsAre(5, -1));
  EXPECT_FALSE((*infos)[y].constant.has_value());
}

TEST(InferShapes, NamesTheNodeWhoseShapesDoNotFit) {
  NetBuilder net(1);
  const ValueId x = net.Input({kDynamic, 4, 6});
  const ValueId y = net.Op("MatMul", {x, net.Random({5, 2}, 1)});
  const Graph graph = net.Build({y});
  const auto infos = InferShapes(graph, {{1, 4, 6}});
  EXPECT_TRUE(absl::IsInvalidArgument(infos.status()));
  EXPECT_THAT(std::string(infos.status().message()),
              testing::HasSubstr("\"MatMul0\""));
}

TEST(InferShapes, RefusesATensorThatIsTooLargeToHold) {
  NetBuilder net(1);
  const ValueId x = net.Input({1, 1});
  const ValueId y = net.Op("Expand", {x, net.Ints({1 << 20, 1 << 20})});
  const Graph graph = net.Build({y});
  const auto infos = InferShapes(graph, {{1, 1}});
  EXPECT_TRUE(absl::IsInvalidArgument(infos.status()));
  EXPECT_THAT(std::string(infos.status().message()),
              testing::HasSubstr("2^31"));
}

TEST(InferShapes, SaysThatALengthDependsOnTheData) {
  NetBuilder net(1);
  const ValueId x = net.Input({1, 4});
  const ValueId target = net.Op("Cast", {x}, {{"to", int64_t{7}}});  // int64.
  const Graph graph = net.Build({net.Op("Reshape", {x, target})});
  EXPECT_TRUE(absl::IsUnimplemented(InferShapes(graph, {{1, 4}}).status()));
}

}  // namespace
}  // namespace lathe

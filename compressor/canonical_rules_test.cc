// What each rule of the canonical form does to a small network.
#include <string>
#include <vector>

#include "absl/strings/str_join.h"
#include "compressor/canonical.h"
#include "compressor/reference_ops.h"
#include "compressor/testing/net_builder.h"
#include "compressor/testing/tensor_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace lathe {
namespace {

using testing::ElementsAre;

// "Conv+2 Gemm": operators in order, with the number of post-ops if any.
std::string Ops(const Graph& graph) {
  return absl::StrJoin(graph.nodes(), " ",
                       [](std::string* out, const Node& node) {
                         out->append(node.op_type);
                         if (node.post_ops.empty()) return;
                         absl::StrAppend(out, "+", node.post_ops.size());
                       });
}

// The canonical form, which must compute the same.
Graph Canonical(const Graph& graph, int64_t batch = 2) {
  const auto canonical = Canonicalize(graph);
  EXPECT_TRUE(canonical.ok()) << canonical.status();
  TestRandom random(7);
  Shape shape = graph.value(graph.inputs()[0]).shape;
  if (shape[0] == kDynamic) shape[0] = batch;
  const Tensor input = random.NormalTensor(shape, 1);
  ExpectNear(Evaluate(*canonical, input), Evaluate(graph, input), 1e-5);
  return *canonical;
}

ValueId BatchNorm(NetBuilder& net, ValueId x, int64_t channels) {
  std::vector<float> variance(channels);
  for (float& v : variance) v = 1.5f + net.random().Uniform(1);
  return net.Op("BatchNormalization",
                {x, net.Random({channels}, 1), net.Random({channels}, 1),
                 net.Random({channels}, 1),
                 net.Constant(Tensor::Of<float>({channels}, variance))},
                {{"epsilon", 1e-3f}});
}

TEST(Canonicalize, FoldsABatchNormIntoTheConvBefore) {
  NetBuilder net(1);
  const ValueId x = net.Input({kDynamic, 4, 5, 5});
  const ValueId y = net.Op("Relu", {BatchNorm(net, net.Conv(x, 4, 6, 3), 6)});
  const Graph graph = Canonical(net.Build({y}));
  EXPECT_EQ(Ops(graph), "Conv+1");
  EXPECT_EQ(graph.nodes()[0].name, "Conv0");
  EXPECT_EQ(graph.value(graph.outputs()[0]).name, "Relu2_out");
}

TEST(Canonicalize, FoldsABatchNormIntoAGemmOfEitherLayout) {
  for (const bool is_transposed : {false, true}) {
    NetBuilder net(1);
    const ValueId x = net.Input({kDynamic, 4});
    const ValueId y = BatchNorm(net, net.Gemm(x, 4, 6, is_transposed), 6);
    EXPECT_EQ(Ops(Canonical(net.Build({y}))), "Gemm");
  }
}

TEST(Canonicalize, FoldsABatchNormIntoAGroupedConvTranspose) {
  NetBuilder net(1);
  const ValueId x = net.Input({kDynamic, 4, 3, 3});
  const ValueId up =
      net.Op("ConvTranspose", {x, net.Random({4, 3, 2, 2}, 1)},
             {{"group", int64_t{2}}, {"strides", std::vector<int64_t>{2, 2}}});
  EXPECT_EQ(Ops(Canonical(net.Build({BatchNorm(net, up, 6)}))),
            "ConvTranspose");
}

TEST(Canonicalize, TurnsABatchNormBeforeAnActivationIntoMulAndAdd) {
  NetBuilder net(1);
  const ValueId x = net.Input({kDynamic, 4, 5, 5});
  const ValueId relu = net.Op("Relu", {BatchNorm(net, x, 4)});
  const Graph graph = Canonical(net.Build({net.Conv(relu, 4, 6, 3)}));
  EXPECT_EQ(Ops(graph), "Mul Add+1 Conv");
}

TEST(Canonicalize, LeavesABatchNormOfASharedConvOutput) {
  NetBuilder net(1);
  const ValueId x = net.Input({kDynamic, 4, 5, 5});
  const ValueId conv = net.Conv(x, 4, 6, 3);
  const Graph graph = Canonical(net.Build({BatchNorm(net, conv, 6), conv}));
  EXPECT_EQ(Ops(graph), "Conv Mul Add");
}

TEST(Canonicalize, FoldsArithmeticWithConstantsIntoTheConvBefore) {
  for (const char* op : {"Add", "Sub", "Mul", "Div"}) {
    NetBuilder net(3);
    const ValueId x = net.Input({kDynamic, 4, 5, 5});
    const ValueId y =
        net.Op(op, {net.Conv(x, 4, 6, 3, 1, 2), net.Random({6, 1, 1}, 2)});
    EXPECT_EQ(Ops(Canonical(net.Build({y}))), "Conv") << op;
  }
}

TEST(Canonicalize, FoldsAConstantMinusTheConv) {
  NetBuilder net(3);
  const ValueId x = net.Input({kDynamic, 4, 5, 5});
  const ValueId y =
      net.Op("Sub", {net.Random({1, 6, 1, 1}, 2), net.Conv(x, 4, 6, 3)});
  EXPECT_EQ(Ops(Canonical(net.Build({y}))), "Conv");
}

TEST(Canonicalize, LeavesArithmeticThatVariesOverPixels) {
  NetBuilder net(3);
  const ValueId x = net.Input({kDynamic, 4, 5, 5});
  const ValueId y = net.Op("Mul", {net.Conv(x, 4, 6, 3), net.Random({5}, 1)});
  EXPECT_EQ(Ops(Canonical(net.Build({y}))), "Conv Mul");
}

TEST(Canonicalize, FoldsAScaleOfTheInputIntoAGroupedConv) {
  NetBuilder net(3);
  const ValueId x = net.Input({kDynamic, 4, 5, 5});
  const ValueId scaled = net.Op("Div", {x, net.Random({1, 4, 1, 1}, 2)});
  EXPECT_EQ(Ops(Canonical(net.Build({net.Conv(scaled, 4, 6, 3, 2, 2)}))),
            "Conv");
}

TEST(Canonicalize, LeavesAShiftOfTheInputOfAPaddedConv) {
  NetBuilder net(3);
  const ValueId x = net.Input({kDynamic, 4, 5, 5});
  const ValueId shifted = net.Op("Sub", {x, net.Random({1, 4, 1, 1}, 2)});
  EXPECT_EQ(Ops(Canonical(net.Build({net.Conv(shifted, 4, 6, 3)}))),
            "Sub Conv");
}

TEST(Canonicalize, DoesNotSpoilWeightsThatAnotherNodeReads) {
  NetBuilder net(3);
  const ValueId x = net.Input({kDynamic, 4, 5, 5});
  const ValueId weights = net.Random({4, 4, 1, 1}, 1);
  const ValueId first = net.Op("Conv", {x, weights});
  const ValueId second = net.Op("Conv", {BatchNorm(net, first, 4), weights});
  EXPECT_EQ(Ops(Canonical(net.Build({second}))), "Conv Conv");
}

TEST(Canonicalize, MakesAGemmOfMatMulAndAdd) {
  NetBuilder net(3);
  const ValueId x = net.Input({kDynamic, 4});
  const ValueId y = net.Op(
      "Add",
      {net.Random({6}, 1), net.Op("MatMul", {x, net.Random({4, 6}, 1)})});
  const Graph graph = Canonical(net.Build({net.Op("Sigmoid", {y})}));
  EXPECT_EQ(Ops(graph), "Gemm+1");
  EXPECT_EQ(graph.nodes()[0].name, "MatMul0");
}

TEST(Canonicalize, TakesAlphaAndBetaOutOfAGemm) {
  NetBuilder net(3);
  const ValueId x = net.Input({kDynamic, 4});
  const ValueId y =
      net.Op("Gemm", {x, net.Random({4, 6}, 1), net.Random({1, 6}, 1)},
             {{"alpha", 0.5f}, {"beta", 3.0f}});
  const Graph graph = Canonical(net.Build({y}));
  EXPECT_TRUE(graph.nodes()[0].attributes.empty());
  EXPECT_EQ(graph.value(graph.nodes()[0].inputs[2]).constant->shape(),
            Shape{6});
}

TEST(Canonicalize, FusesAResidualIntoTheLaterConv) {
  NetBuilder net(3);
  const ValueId x = net.Input({kDynamic, 4, 5, 5});
  const ValueId a = net.Conv(x, 4, 4, 3);
  const ValueId b = net.Conv(x, 4, 4, 1);
  const ValueId y = net.Op("Relu", {net.Op("Add", {b, a})});
  const Graph graph = Canonical(net.Build({y}));
  EXPECT_EQ(Ops(graph), "Conv Conv+2");
  const Node& host = graph.nodes()[1];
  EXPECT_EQ(host.name, "Conv1");
  EXPECT_EQ(host.post_ops[0].kind, PostOp::Kind::kAdd);
  EXPECT_EQ(host.inputs[host.post_ops[0].input], graph.nodes()[0].outputs[0]);
  EXPECT_EQ(graph.value(host.outputs[0]).name, "Relu3_out");
}

TEST(Canonicalize, GivesAConvWithoutBiasAnEmptyBiasSlot) {
  NetBuilder net(3);
  const ValueId x = net.Input({kDynamic, 4, 5, 5});
  const ValueId conv = net.Op("Conv", {x, net.Random({4, 4, 1, 1}, 1)});
  const Graph graph = Canonical(net.Build({net.Op("Add", {conv, x})}));
  ASSERT_EQ(Ops(graph), "Conv+1");
  EXPECT_THAT(graph.nodes()[0].inputs,
              ElementsAre(testing::_, testing::_, kNoValue, graph.inputs()[0]));
}

TEST(Canonicalize, LeavesAnAddWhoseConvOthersRead) {
  NetBuilder net(3);
  const ValueId x = net.Input({kDynamic, 4, 5, 5});
  const ValueId a = net.Conv(x, 4, 4, 3);
  const ValueId sum = net.Op("Add", {a, x});
  const Graph graph = Canonical(net.Build({sum, net.Op("Tanh", {a})}));
  EXPECT_EQ(Ops(graph), "Conv Add Tanh");
}

TEST(Canonicalize, LeavesAnAddWhoseConvIsAnOutput) {
  NetBuilder net(3);
  const ValueId x = net.Input({kDynamic, 4, 5, 5});
  const ValueId a = net.Conv(x, 4, 4, 3);
  const Graph graph = Canonical(net.Build({net.Op("Add", {a, x}), a}));
  EXPECT_EQ(Ops(graph), "Conv Add");
}

TEST(Canonicalize, LeavesAnAddThatBroadcasts) {
  NetBuilder net(3);
  const ValueId x = net.Input({kDynamic, 4, 5, 5});
  const ValueId a = net.Conv(x, 4, 4, 3);
  const ValueId pooled = net.Op("GlobalAveragePool", {x});
  const Graph graph = Canonical(net.Build({net.Op("Add", {a, pooled})}));
  EXPECT_EQ(Ops(graph), "Conv GlobalAveragePool Add");
}

TEST(Canonicalize, LeavesAnAddWhoseLaterSideIsNoConv) {
  NetBuilder net(3);
  const ValueId x = net.Input({kDynamic, 4, 5, 5});
  const ValueId a = net.Conv(x, 4, 4, 3);
  const ValueId b = net.Op("Sigmoid", {x});
  const Graph graph =
      Canonical(net.Build({net.Op("Relu", {net.Op("Add", {a, b})})}));
  EXPECT_EQ(Ops(graph), "Conv Sigmoid Add+1");
}

TEST(Canonicalize, FusesEveryKindOfActivation) {
  NetBuilder net(3);
  const ValueId x = net.Input({kDynamic, 4, 5, 5});
  const auto scalar = [&](float value) {
    return net.Constant(Tensor::Of<float>({}, std::vector<float>{value}));
  };
  ValueId y = net.Conv(x, 4, 4, 3);
  y = net.Op("LeakyRelu", {y}, {{"alpha", 0.3f}});
  y = net.Op("PRelu", {y, scalar(0.2f)});
  y = net.Op("Clip", {y, kNoValue, scalar(2)});
  y = net.Op("HardSwish", {y});
  y = net.Op("HardSigmoid", {y}, {{"alpha", 0.3f}});
  y = net.Op("Tanh", {y});
  y = net.Op("Sigmoid", {y});
  y = net.Op("Relu", {y});
  EXPECT_EQ(Ops(Canonical(net.Build({y}))), "Conv+8");
}

TEST(Canonicalize, KnowsHardSwishInTwoNodes) {
  NetBuilder net(3);
  const ValueId x = net.Input({kDynamic, 4, 5, 5});
  const ValueId conv = net.Conv(x, 4, 4, 3);
  const ValueId gate = net.Op("HardSigmoid", {conv}, {{"alpha", 1.0f / 6}});
  const Graph graph = Canonical(net.Build({net.Op("Mul", {gate, conv})}));
  ASSERT_EQ(Ops(graph), "Conv+1");
  EXPECT_EQ(graph.nodes()[0].post_ops[0].kind, PostOp::Kind::kHardSwish);
}

TEST(Canonicalize, DropsIdentitiesButKeepsTheNamesOfOutputs) {
  NetBuilder net(3);
  const ValueId x = net.Input({kDynamic, 4, 5, 5});
  const ValueId conv = net.Conv(x, 4, 4, 3);
  const ValueId y = net.Op("Dropout", {net.Op("Identity", {conv})});
  const Graph graph = Canonical(net.Build({y}));
  EXPECT_EQ(Ops(graph), "Conv");
  EXPECT_EQ(graph.value(graph.outputs()[0]).name, "Dropout2_out");
}

TEST(Canonicalize, KeepsAnIdentityOfAnInputThatIsAnOutput) {
  NetBuilder net(3);
  const ValueId x = net.Input({kDynamic, 4});
  EXPECT_EQ(Ops(Canonical(net.Build({net.Op("Identity", {x})}))), "Identity");
}

TEST(Canonicalize, RemovesWhatNoOutputNeeds) {
  NetBuilder net(3);
  const ValueId x = net.Input({kDynamic, 4, 5, 5});
  net.Conv(x, 4, 9, 3);
  const Graph graph = Canonical(net.Build({net.Op("Relu", {x})}));
  EXPECT_EQ(Ops(graph), "Relu");
  EXPECT_EQ(graph.values().size(), 2u);
}

TEST(Canonicalize, FoldsShapeArithmeticForAnyBatch) {
  NetBuilder net(3);
  const ValueId x = net.Input({kDynamic, 4, 6});
  const ValueId batch = net.Op("Gather", {net.Op("Shape", {x}), net.Ints({0})});
  const ValueId target =
      net.Op("Concat", {batch, net.Ints({2, 12})}, {{"axis", int64_t{0}}});
  const Graph parsed = net.Build({net.Op("Reshape", {x, target})});
  for (const int64_t size : {1, 2, 5}) {
    const Graph graph = Canonical(parsed, size);
    ASSERT_EQ(Ops(graph), "Reshape");
    EXPECT_THAT(
        graph.value(graph.nodes()[0].inputs[1]).constant->values<int64_t>(),
        ElementsAre(-1, 2, 12));
  }
}

TEST(Canonicalize, FoldsNothingThatASmallBatchChanges) {
  NetBuilder net(3);
  const ValueId x = net.Input({kDynamic, 4});
  const ValueId first =
      net.Op("Slice", {x, net.Ints({0}), net.Ints({2}), net.Ints({0})});
  const ValueId rows =
      net.Op("Gather", {net.Op("Shape", {first}), net.Ints({0})});
  const ValueId target =
      net.Op("Concat", {rows, net.Ints({4})}, {{"axis", int64_t{0}}});
  const Graph parsed = net.Build({net.Op("Reshape", {first, target})});
  for (const int64_t size : {1, 2, 5}) Canonical(parsed, size);
}

TEST(Canonicalize, ANetworkOfSingleSamplesHasABatchOfOne) {
  NetBuilder net(3);
  const ValueId x = net.Input({kDynamic, 4, 6});
  const Graph graph =
      Canonical(net.Build({net.Op("Reshape", {x, net.Ints({1, 24})})}), 1);
  EXPECT_EQ(graph.value(graph.inputs()[0]).shape, (Shape{1, 4, 6}));
}

TEST(Canonicalize, APadOfLevelsPadsWithTheNumberOfLevelZero) {
  NetBuilder net(3);
  const ValueId x = net.Input({kDynamic, 4});
  const ValueId scale =
      net.Constant(Tensor::Of<float>({}, std::vector<float>{0.05f}));
  const ValueId zero =
      net.Constant(Tensor::Of<uint8_t>({}, std::vector<uint8_t>{128}));
  const ValueId levels = net.Op("QuantizeLinear", {x, scale, zero});
  const ValueId padded = net.Op("Pad", {levels, net.Ints({0, 1, 0, 1})});
  Canonical(net.Build({net.Op("DequantizeLinear", {padded, scale, zero})}));
}

TEST(Canonicalize, FusesNothingAcrossARoundedValue) {
  NetBuilder net(3);
  const ValueId x = net.Input({kDynamic, 4, 5, 5});
  const ValueId conv = net.Conv(x, 4, 4, 3);
  GraphParts parts = net.Build({net.Op("Relu", {conv})}).parts();
  parts.values[conv].grid = ActivationGrid{true, 0.25f, 0};
  EXPECT_EQ(Ops(Canonical(*Graph::Create(parts))), "Conv Relu");
}

TEST(Canonicalize, RefusesShapesThatDoNotFitAndNamesTheNode) {
  NetBuilder net(3);
  const ValueId x = net.Input({kDynamic, 5, 5, 5});
  const auto graph = Canonicalize(net.Build({net.Conv(x, 4, 4, 3)}));
  EXPECT_TRUE(absl::IsInvalidArgument(graph.status()));
  EXPECT_THAT(std::string(graph.status().message()),
              testing::HasSubstr("\"Conv0\""));
}

// ----------------------------------------------------------------- opsets

Graph WithOpset(const Graph& graph, int64_t opset) {
  GraphParts parts = graph.parts();
  parts.opset = opset;
  return *Graph::Create(parts);
}

TEST(Canonicalize, BringsOldFormsToOneOpset) {
  NetBuilder net(3);
  const ValueId x = net.Input({kDynamic, 4, 6});
  ValueId y = net.Op("Clip", {x}, {{"min", -1.0f}, {"max", 0.5f}});
  y = net.Op("Unsqueeze", {y}, {{"axes", std::vector<int64_t>{1}}});
  y = net.Op("Pad", {y},
             {{"pads", std::vector<int64_t>{0, 0, 1, 0, 0, 0, 0, 2}},
              {"value", 0.25f}});
  y = net.Op("Slice", {y},
             {{"axes", std::vector<int64_t>{3}},
              {"starts", std::vector<int64_t>{1}},
              {"ends", std::vector<int64_t>{-1}}});
  y = net.Op("Softmax", {y}, {{"axis", int64_t{2}}});
  y = net.Op("Upsample", {y, net.Constant(Tensor::Of<float>(
                                 {4}, std::vector<float>{1, 1, 2, 2}))});
  y = net.Op("ReduceSum", {y}, {{"axes", std::vector<int64_t>{-1}}});
  y = net.Op("Squeeze", {y}, {{"axes", std::vector<int64_t>{1, 3}}});
  const Graph graph = Canonical(WithOpset(net.Build({y}), 9));
  EXPECT_EQ(graph.parts().opset, 17);
  for (const Node& node : graph.nodes()) {
    for (const char* old : {"axes", "pads", "starts", "min", "scales"}) {
      EXPECT_EQ(node.attributes.count(old), 0u) << node.name << " " << old;
    }
  }
}

TEST(Canonicalize, BringsNewFormsToOneOpset) {
  NetBuilder net(3);
  const ValueId x = net.Input({kDynamic, 5, 6});
  const ValueId mean = net.Op("ReduceMean", {x, net.Ints({-1})});
  const Graph graph = Canonical(WithOpset(net.Build({mean}), 18));
  EXPECT_EQ(graph.parts().opset, 17);
  EXPECT_THAT(graph.nodes()[0].IntsOr("axes", {}), ElementsAre(-1));
}

TEST(Canonicalize, KeepsANewerOpsetThatAnOperatorNeeds) {
  NetBuilder net(3);
  const ValueId x = net.Input({kDynamic, 5, 6});
  const ValueId mean =
      net.Op("ReduceMean", {net.Op("Gelu", {x}), net.Ints({-1})});
  const Graph graph = Canonical(WithOpset(net.Build({mean}), 20));
  EXPECT_EQ(graph.parts().opset, 20);
  EXPECT_EQ(Ops(graph), "Gelu ReduceMean");
}

}  // namespace
}  // namespace lathe

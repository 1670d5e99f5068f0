#include "compressor/loss_aware_ranges.h"

#include <algorithm>
#include <cmath>
#include <set>
#include <vector>

#include "compressor/testing/net_builder.h"
#include "compressor/testing/random_nets.h"
#include "compressor/testing/reference_activation_source.h"
#include "compressor/testing/tensor_matchers.h"
#include "gtest/gtest.h"

namespace lathe {
namespace {

struct Case {
  Graph graph;
  ReferenceActivationSource source;
  ActivationStats stats;
  std::set<ValueId> ids;
};

// A random network whose convolutions read values on grids.
Case MakeCase(uint64_t seed, int64_t samples) {
  const Graph graph = RandomNet(seed);
  TestRandom random(seed + 1);
  Case made{graph,
            ReferenceActivationSource(
                {random.NormalTensor({samples, 3, 8, 8}, 1)}, 17),
            {},
            {}};
  made.stats = *CollectActivationStats(graph, made.source, samples);
  for (const Node& node : graph.nodes()) {
    if (node.op_type == "Conv") made.ids.insert(node.inputs[0]);
  }
  return made;
}

// Mean squared distance of the answers with the given grids.
double LossOf(const Case& c, const std::map<ValueId, ActivationGrid>& grids) {
  GraphParts parts = c.graph.parts();
  for (const auto& [id, grid] : grids) parts.values[id].grid = grid;
  ReferenceActivationSource source = c.source;
  const Tensor x = (*source.Inputs(0, source.SampleCount()))[0];
  const double rms = RootMeanSquare(
      Evaluate(c.graph, x), Evaluate(*Graph::Create(std::move(parts)), x));
  return rms * rms;
}

TEST(LossAwareRanges, LoseNoMoreThanThoseByLeastSquaredError) {
  int better = 0;
  for (const uint64_t seed : {1, 3, 4, 5}) {
    Case c = MakeCase(seed, 8);
    std::map<ValueId, ActivationGrid> by_error;
    for (const ValueId id : c.ids) {
      by_error[id] = ChooseGrid(c.stats.tensors.at(c.graph.value(id).name), {});
    }
    const auto grids =
        LossAwareGrids(c.graph, c.graph.parts(), c.ids, c.stats, c.source, {});
    ASSERT_TRUE(grids.ok()) << grids.status();
    EXPECT_EQ(grids->size(), c.ids.size());
    const double loss = LossOf(c, *grids);
    // The reference adds in another order.
    EXPECT_LE(loss, LossOf(c, by_error) * (1 + 1e-5)) << "seed " << seed;
    if (loss < 0.99 * LossOf(c, by_error)) ++better;
  }
  EXPECT_GE(better, 2);
}

// `x` on a grid of `bits` bits.
Tensor OnGrid(const Tensor& x, const ActivationGrid& grid, int bits) {
  const float most =
      grid.scale * static_cast<float>(LargestLevel(grid.is_signed, bits));
  const Tensor rounded = RoundToGrid(x, grid);
  std::vector<float> clipped;
  for (const float value : rounded.values<float>()) {
    clipped.push_back(std::min(std::max(value, -most), most));
  }
  return Tensor::Of<float>(x.shape(), clipped);
}

// A step size is near the best of 400, tried one by one.
TEST(LossAwareRanges, OfOneValueIsNearTheBestOfAFineSearch) {
  constexpr int kBits = 4;
  for (const uint64_t seed : {1, 2, 3}) {
    NetBuilder net(seed);
    const ValueId input = net.Input({kDynamic, 8});
    const ValueId hidden = net.Gemm(input, 8, 16, true);
    net.Relu();
    const Graph graph = net.Build({net.Gemm(hidden, 16, 4, true)});
    // Few large values, which the answers hardly depend on.
    std::vector<float> values(64 * 8);
    for (float& value : values) {
      const float x = net.random().Normal(1);
      value = x * x * x;
    }
    const Tensor x = Tensor::Of<float>({64, 8}, values);
    ReferenceActivationSource source({x}, 17);
    const ActivationStats stats = *CollectActivationStats(graph, source, 64);
    LossAwareOptions options;
    options.range.bits = kBits;
    const auto grids =
        LossAwareGrids(graph, graph.parts(), {input}, stats, source, options);
    ASSERT_TRUE(grids.ok()) << grids.status();
    const Tensor plain = Evaluate(graph, x);
    const auto loss = [&](const ActivationGrid& grid) {
      return RootMeanSquare(Evaluate(graph, OnGrid(x, grid, kBits)), plain);
    };
    ActivationGrid grid = grids->at(input);
    const float widest =
        std::max(-stats.tensors.at("input0").min,
                 stats.tensors.at("input0").max) /
        static_cast<float>(LargestLevel(grid.is_signed, kBits));
    const double found = loss(grid);
    double least = HUGE_VAL;
    for (int k = 1; k <= 400; ++k) {
      grid.scale = widest * static_cast<float>(k) / 400;
      least = std::min(least, loss(grid));
    }
    EXPECT_LT(found, 1.08 * least) << "seed " << seed;
  }
}

TEST(LossAwareRanges, AreTheSameForEqualArguments) {
  Case c = MakeCase(5, 8);
  LossAwareOptions options;
  options.turns = 1;
  const auto first = LossAwareGrids(c.graph, c.graph.parts(), c.ids, c.stats,
                                    c.source, options);
  const auto second = LossAwareGrids(c.graph, c.graph.parts(), c.ids, c.stats,
                                     c.source, options);
  ASSERT_TRUE(first.ok() && second.ok());
  for (const auto& [id, grid] : *first) {
    EXPECT_EQ(grid.scale, second->at(id).scale);
  }
}

TEST(LossAwareRanges, OfNoValuesAreNone) {
  Case c = MakeCase(6, 8);
  const auto grids =
      LossAwareGrids(c.graph, c.graph.parts(), {}, c.stats, c.source, {});
  ASSERT_TRUE(grids.ok());
  EXPECT_TRUE(grids->empty());
}

}  // namespace
}  // namespace lathe

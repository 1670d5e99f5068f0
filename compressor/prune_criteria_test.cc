// The criteria that channels are chosen by, each on a network where it is plain
// which channel is worth least; and what must hold for all of them.
#include <Eigen/Cholesky>
#include <Eigen/Core>
#include <algorithm>
#include <cmath>

#include "compressor/activation_scores.h"
#include "compressor/channel_groups.h"
#include "compressor/channel_scores.h"
#include "compressor/prune.h"
#include "compressor/prune_network.h"
#include "compressor/redundancy.h"
#include "compressor/reference_ops.h"
#include "compressor/testing/masked.h"
#include "compressor/testing/net_builder.h"
#include "compressor/testing/random_nets.h"
#include "compressor/testing/reference_activation_source.h"
#include "compressor/testing/tensor_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace lathe {
namespace {

using ::testing::HasSubstr;

// A 1x1 convolution of 2 channels with these filters, then one of 3 outputs
// with these weights [3, filters].
Graph TwoLayers(const std::vector<float>& filters,
                const std::vector<float>& readers, bool has_relu = true) {
  NetBuilder net(1);
  const int64_t channels = static_cast<int64_t>(filters.size()) / 2;
  const ValueId in = net.Input({kDynamic, 2, 3, 3});
  const ValueId a =
      net.Op("Conv",
             {in, net.Constant(Tensor::Of<float>({channels, 2, 1, 1}, filters)),
              kNoValue});
  if (has_relu) net.Relu();
  const ValueId b = net.Op(
      "Conv",
      {a, net.Constant(Tensor::Of<float>({3, channels, 1, 1}, readers))});
  const ValueId pooled = net.Op("GlobalAveragePool", {b});
  return net.Build({net.Op("Flatten", {pooled})});
}

ReferenceActivationSource Samples(uint64_t seed, Shape shape) {
  return ReferenceActivationSource(
      {TestRandom(seed).NormalTensor(std::move(shape), 1)}, 17);
}

// The channel of the first layer that goes first.
int FirstToGo(const Graph& graph, PruneCriterion criterion) {
  const ChannelGroups groups = *FindChannelGroups(graph);
  ReferenceActivationSource source = Samples(5, {32, 2, 3, 3});
  const auto scores = ScoreSymbols(graph, groups, criterion, source, 32);
  EXPECT_TRUE(scores.ok()) << scores.status();
  if (!scores.ok()) return -1;
  const std::vector<int>& symbols = groups.layers[0].out_symbols;
  return static_cast<int>(std::min_element(symbols.begin(), symbols.end(),
                                           [&](int a, int b) {
                                             return (*scores)[a] < (*scores)[b];
                                           }) -
                          symbols.begin());
}

const std::vector<float> kEqualReaders = {1, 1, 1, 1, -1, 1, 1, 1, -1};

TEST(PruneCriteria, NormsTakeTheSmallestFilter) {
  // Smallest by L1: the third; by L2: the second.
  const std::vector<float> filters = {3, 3, 1.5f, 1.5f, 2.5f, 0};
  const Graph graph = TwoLayers(filters, kEqualReaders);
  EXPECT_EQ(FirstToGo(graph, PruneCriterion::kL1), 2);
  EXPECT_EQ(FirstToGo(graph, PruneCriterion::kL2), 1);
}

TEST(PruneCriteria, GeometricMedianTakesTheFilterBetweenTheOthers) {
  const std::vector<float> filters = {0, 5, 2, 6, 4, 5};
  EXPECT_EQ(FirstToGo(TwoLayers(filters, kEqualReaders),
                      PruneCriterion::kGeometricMedian),
            1);
}

TEST(PruneCriteria, ActivationTakesTheChannelThatGivesLeast) {
  // The first filter is large, but what it gives cancels on equal inputs.
  const Graph graph = TwoLayers({1, 1, 0.1f, 0, 2, 1}, kEqualReaders);
  EXPECT_EQ(FirstToGo(graph, PruneCriterion::kActivation), 1);
}

TEST(PruneCriteria, TaylorTakesTheChannelThatNobodyListensTo) {
  const Graph graph =
      TwoLayers({1, 1, 2, -3, 3, 1}, {1, 0.001f, 2, -1, 0, 1, 2, 0, -1});
  EXPECT_EQ(FirstToGo(graph, PruneCriterion::kTaylor), 1);
  EXPECT_NE(FirstToGo(graph, PruneCriterion::kL1), 1);
}

// The derivative of the loss for the best class by each channel's gate, by
// hand, in double.
TEST(PruneCriteria, TaylorIsTheDerivativeOfTheLoss) {
  constexpr int kChannels = 5;
  constexpr int kSamples = 40;
  NetBuilder net(11);
  const ValueId hidden = net.Gemm(net.Input({kDynamic, 6}), 6, kChannels, true);
  net.Relu();
  const Graph graph = net.Build({net.Gemm(hidden, kChannels, 3, true)});
  const ChannelGroups groups = *FindChannelGroups(graph);
  const Tensor x = TestRandom(12).NormalTensor({kSamples, 6}, 1);
  ReferenceActivationSource source({x}, 17);
  const auto scores = ScoreByTaylor(graph, groups, source, kSamples);
  ASSERT_TRUE(scores.ok()) << scores.status();
  const auto constant = [&graph](int node, int at) {
    return graph.value(graph.nodes()[node].inputs[at])
        .constant->values<float>();
  };
  std::vector<double> expected(kChannels);
  for (int n = 0; n < kSamples; ++n) {
    std::vector<double> a(kChannels);
    for (int c = 0; c < kChannels; ++c) {
      double sum = constant(0, 2)[c];
      for (int i = 0; i < 6; ++i) {
        sum += double{constant(0, 1)[c * 6 + i]} * x.values<float>()[n * 6 + i];
      }
      a[c] = std::max(sum, 0.0);
    }
    std::vector<double> p(3);
    double total = 0;
    for (int o = 0; o < 3; ++o) {
      double logit = constant(1, 2)[o];
      for (int c = 0; c < kChannels; ++c) {
        logit += double{constant(1, 1)[o * kChannels + c]} * a[c];
      }
      p[o] = std::exp(logit);
      total += p[o];
    }
    const int best =
        static_cast<int>(std::max_element(p.begin(), p.end()) - p.begin());
    for (int c = 0; c < kChannels; ++c) {
      double slope = 0;
      for (int o = 0; o < 3; ++o) {
        slope += (p[o] / total - (o == best ? 1 : 0)) *
                 constant(1, 1)[o * kChannels + c] * a[c];
      }
      expected[c] += std::abs(slope) / kSamples;
    }
  }
  for (int c = 0; c < kChannels; ++c) {
    // The difference quotient's step is 1 %.
    EXPECT_NEAR((*scores)[groups.layers[0].out_symbols[c]], expected[c],
                0.02 * expected[c] + 1e-4);
  }
}

// Sums of distances, number by number.
TEST(PruneCriteria, GeometricMedianScoresAreSumsOfDistances) {
  NetBuilder net(13);
  const ValueId a = net.Conv(net.Input({kDynamic, 3, 4, 4}), 3, 7, 3);
  const Graph graph = net.Build({net.Conv(a, 7, 2, 1)});
  const ChannelGroups groups = *FindChannelGroups(graph);
  const std::vector<double> scores =
      ScoreByWeights(graph, groups, PruneCriterion::kGeometricMedian);
  const Tensor weights = *graph.value(graph.nodes()[0].inputs[1]).constant;
  for (int c = 0; c < 7; ++c) {
    double sum = 0;
    for (int other = 0; other < 7; ++other) {
      double squares = 0;
      for (int i = 0; i < 27; ++i) {
        const double d = double{weights.values<float>()[c * 27 + i]} -
                         weights.values<float>()[other * 27 + i];
        squares += d * d;
      }
      sum += std::sqrt(squares);
    }
    EXPECT_NEAR(scores[groups.layers[0].out_symbols[c]], sum, 1e-6 * sum);
  }
}

TEST(PruneCriteria, TaylorNeedsClasses) {
  NetBuilder net(1);
  const ValueId a = net.Conv(net.Input({kDynamic, 2, 3, 3}), 2, 16, 3);
  const ValueId b = net.Conv(a, 16, 1, 1);
  const Graph graph =
      net.Build({net.Op("Flatten", {net.Op("GlobalAveragePool", {b})})});
  ReferenceActivationSource source = Samples(1, {4, 2, 3, 3});
  EXPECT_THAT(ScoreByTaylor(graph, *FindChannelGroups(graph), source, 4)
                  .status()
                  .ToString(),
              HasSubstr("number for each class"));
}

TEST(PruneCriteria, RedundancyTakesWhatTheOthersGive) {
  // Without a rectifier the third channel is half the sum of the others,
  // though its filter is the largest and it is read with large weights.
  const Graph graph =
      TwoLayers({0, 1, 1, 0, 4, 4}, {1, 0, 9, 0, 1, 9, 1, -1, 9},
                /*has_relu=*/false);
  const ChannelGroups groups = *FindChannelGroups(graph);
  ReferenceActivationSource source = Samples(3, {32, 2, 3, 3});
  PruneOptions options;
  options.samples = 32;
  options.ridge = 1e-9;
  std::vector<double> ratios(groups.groups.size(), 1);
  ratios[groups.layers[0].group] = 2.0 / 3;
  const auto pruned =
      PruneNetwork(graph, groups, ratios, {}, source, options, nullptr);
  ASSERT_TRUE(pruned.ok()) << pruned.status();
  // Two channels span what three gave, so the rebuild loses nothing.
  const Tensor input = TestRandom(9).NormalTensor({4, 2, 3, 3}, 1);
  ExpectNear(Evaluate(pruned->graph, input), Evaluate(graph, input), 1e-3);
}

// The error that is left when the symbols `lost` go, by solving anew.
double SlowError(const Eigen::MatrixXd& x, const Eigen::MatrixXd& y,
                 const std::vector<int>& kept, double lambda) {
  Eigen::MatrixXd k(x.rows(), kept.size());
  for (size_t i = 0; i < kept.size(); ++i) k.col(i) = x.col(kept[i]);
  Eigen::MatrixXd gram = k.transpose() * k;
  gram.diagonal().array() += lambda;
  const Eigen::MatrixXd w = gram.llt().solve(k.transpose() * y);
  return (y - k * w).squaredNorm() + lambda * w.squaredNorm();
}

TEST(PruneCriteria, RedundancyGoesInTheOrderOfASlowReference) {
  const int channels = 8;
  NetBuilder net(4);
  const ValueId in = net.Input({kDynamic, 5});
  const ValueId a = net.Gemm(in, 5, channels, true);
  net.Relu();
  const Graph graph = net.Build({net.Gemm(a, channels, 3, true)});
  const ChannelGroups groups = *FindChannelGroups(graph);
  const int64_t samples = 200;
  const Tensor input = TestRandom(8).NormalTensor({samples, 5}, 1);
  ReferenceActivationSource source({input}, 17);
  RedundancyOptions options;
  options.samples = samples;
  const auto scores = ScoreByRedundancy(graph, groups, source, options);
  ASSERT_TRUE(scores.ok()) << scores.status();

  const Tensor hidden =
      (*EvaluateNode(graph.nodes()[0], 17,
                     {input, *graph.value(graph.nodes()[0].inputs[1]).constant,
                      *graph.value(graph.nodes()[0].inputs[2]).constant}))[0];
  Eigen::MatrixXd x(samples, channels);
  for (int64_t i = 0; i < hidden.size(); ++i) {
    x(i / channels, i % channels) = hidden.values<float>()[i];
  }
  x.rowwise() -= x.colwise().mean().eval();
  Eigen::MatrixXd w(channels, 3);
  const Tensor& weights = *graph.value(graph.nodes()[1].inputs[1]).constant;
  for (int o = 0; o < 3; ++o) {
    for (int i = 0; i < channels; ++i) {
      w(i, o) = weights.values<float>()[o * channels + i];
    }
  }
  const double lambda = options.ridge * (x.transpose() * x).trace() / channels;
  // Targets whose ridge solution with all channels is `w`: least squares on
  // rows that hold the ridge, too.
  Eigen::MatrixXd rows(samples + channels, channels);
  rows << x, std::sqrt(lambda) * Eigen::MatrixXd::Identity(channels, channels);
  const Eigen::MatrixXd targets = rows * w;
  std::vector<int> kept(channels);
  for (int i = 0; i < channels; ++i) kept[i] = i;
  for (int step = 0; step + 1 < channels; ++step) {
    std::vector<double> errors;
    for (const int gone : kept) {
      std::vector<int> left;
      for (const int c : kept) {
        if (c != gone) left.push_back(c);
      }
      errors.push_back(SlowError(rows, targets, left, 0));
    }
    const size_t cheapest =
        std::min_element(errors.begin(), errors.end()) - errors.begin();
    const int symbol = groups.layers[0].out_symbols[kept[cheapest]];
    EXPECT_EQ((*scores)[symbol], step);
    kept.erase(kept.begin() + cheapest);
  }
}

// The steps at which the channels of the first layer go.
std::vector<double> RedundancySteps(const Graph& graph, const Tensor& input) {
  const ChannelGroups groups = *FindChannelGroups(graph);
  ReferenceActivationSource source({input}, 17);
  RedundancyOptions options;
  options.samples = input.shape()[0];
  const auto scores = ScoreByRedundancy(graph, groups, source, options);
  EXPECT_TRUE(scores.ok()) << scores.status();
  std::vector<double> steps;
  for (const int symbol : groups.layers[0].out_symbols) {
    steps.push_back(scores.ok() ? (*scores)[symbol] : -1);
  }
  return steps;
}

TEST(PruneCriteria, RedundancyIsFoundInMapsThatAreFlattened) {
  // Channels 1 and 4 are the same; the layer reads 5 channels at 256 places.
  NetBuilder net(6);
  const ValueId in = net.Input({kDynamic, 4, 16, 16});
  std::vector<float> filters(5 * 4);
  for (int c = 0; c < 5; ++c) filters[c * 4 + (c == 4 ? 1 : c)] = 1;
  const ValueId maps = net.Op(
      "Conv",
      {in, net.Constant(Tensor::Of<float>({5, 4, 1, 1}, filters)), kNoValue});
  const ValueId flat = net.Op("Flatten", {maps});
  const Graph graph = net.Build({net.Gemm(flat, 5 * 256, 3, true)});
  const std::vector<double> steps =
      RedundancySteps(graph, TestRandom(8).NormalTensor({16, 4, 16, 16}, 1));
  EXPECT_EQ(std::min(steps[1], steps[4]), 0);
  EXPECT_GT(std::max(steps[1], steps[4]), 0);
}

TEST(PruneCriteria, RedundancyOrdersMoreUnitsThanItSolvesForAtOnce) {
  constexpr int kUnits = 1100;
  NetBuilder net(7);
  const ValueId in = net.Input({kDynamic, 20});
  const ValueId hidden = net.Gemm(in, 20, kUnits, true);
  net.Relu();
  const Graph graph = net.Build({net.Gemm(hidden, kUnits, 3, true)});
  std::vector<double> steps =
      RedundancySteps(graph, TestRandom(9).NormalTensor({64, 20}, 1));
  std::sort(steps.begin(), steps.end());
  for (int i = 0; i < kUnits; ++i) EXPECT_EQ(steps[i], i);
}

TEST(PruneCriteria, NamesParseAndOthersAreRefused) {
  for (const std::string& name : PruneCriterionNames()) {
    EXPECT_TRUE(ParsePruneCriterion(name).ok());
  }
  EXPECT_THAT(ParsePruneCriterion("l3").status().ToString(),
              HasSubstr("not one of l1, l2"));
}

class EveryCriterion : public ::testing::TestWithParam<std::string> {};

PruneOptions OptionsOf(const std::string& criterion) {
  PruneOptions options;
  options.criterion = *ParsePruneCriterion(criterion);
  options.samples = 8;
  return options;
}

// Also gives every layer the scales that a batch norm behind it might have had.
PruneOptions OptionsFor(const std::string& criterion, const Graph& graph,
                        const ChannelGroups& groups) {
  PruneOptions options = OptionsOf(criterion);
  TestRandom random(21);
  for (const LayerChannels& layer : groups.layers) {
    std::vector<float>& gammas = options.gammas[graph.nodes()[layer.node].name];
    for (size_t i = 0; i < layer.out_symbols.size(); ++i) {
      gammas.push_back(random.Normal(1));
    }
  }
  return options;
}

std::vector<double> HalfOfAll(const ChannelGroups& groups) {
  std::vector<double> ratios;
  for (const ChannelGroup& group : groups.groups) {
    ratios.push_back(group.is_pinned ? 1 : 0.5);
  }
  return ratios;
}

TEST_P(EveryCriterion, PrunesRandomNetsAlikeEachTime) {
  for (int seed = 0; seed < 6; ++seed) {
    const Graph graph = RandomNet(seed);
    const ChannelGroups groups = *FindChannelGroups(graph);
    ReferenceActivationSource source = Samples(seed, {8, 3, 8, 8});
    const auto once =
        PruneNetwork(graph, groups, HalfOfAll(groups), {}, source,
                     OptionsFor(GetParam(), graph, groups), nullptr);
    ASSERT_TRUE(once.ok()) << once.status();
    PruneCache cache;
    for (int round = 0; round < 2; ++round) {
      const auto again =
          PruneNetwork(graph, groups, HalfOfAll(groups), {}, source,
                       OptionsFor(GetParam(), graph, groups), &cache);
      ASSERT_TRUE(again.ok());
      EXPECT_TRUE(AreEqual(once->graph, again->graph));
    }
  }
}

TEST_P(EveryCriterion, WorksOnOneSampleAndOnZeros) {
  GraphParts parts = RandomNet(2).parts();
  for (Value& value : parts.values) {
    if (value.constant && value.constant->type() == DataType::kFloat32) {
      value.constant =
          Tensor::Of<float>(value.constant->shape(),
                            std::vector<float>(value.constant->size(), 0.0f));
    }
  }
  const Graph zeros = *Graph::Create(parts);
  for (const Graph& graph : {RandomNet(2), zeros}) {
    const ChannelGroups groups = *FindChannelGroups(graph);
    ReferenceActivationSource source = Samples(1, {1, 3, 8, 8});
    const auto pruned =
        PruneNetwork(graph, groups, HalfOfAll(groups), {}, source,
                     OptionsFor(GetParam(), graph, groups), nullptr);
    ASSERT_TRUE(pruned.ok()) << pruned.status();
    const Tensor out =
        Evaluate(pruned->graph, TestRandom(1).NormalTensor({2, 3, 8, 8}, 1));
    for (const float x : out.values<float>()) EXPECT_TRUE(std::isfinite(x));
  }
}

TEST_P(EveryCriterion, LeavesAChannelWhereAllWouldGo) {
  const Graph graph = RandomNet(4);
  const ChannelGroups groups = *FindChannelGroups(graph);
  ReferenceActivationSource source = Samples(1, {4, 3, 8, 8});
  std::vector<double> ratios = HalfOfAll(groups);
  for (double& ratio : ratios) {
    if (ratio != 1) ratio = 1e-9;
  }
  const auto pruned =
      PruneNetwork(graph, groups, ratios, {}, source,
                   OptionsFor(GetParam(), graph, groups), nullptr);
  ASSERT_TRUE(pruned.ok()) << pruned.status();
  for (const LayerChannels& layer : groups.layers) {
    const ValueId weights = pruned->graph.nodes()[layer.node].inputs[1];
    EXPECT_GE(pruned->graph.value(weights).constant->shape()[layer.weight_axis],
              1);
  }
}

TEST_P(EveryCriterion, NoSamplesAreAnError) {
  const Graph graph = RandomNet(0);
  const ChannelGroups groups = *FindChannelGroups(graph);
  ReferenceActivationSource source(
      {Tensor::Of<float>({0, 3, 8, 8}, std::vector<float>{})}, 17);
  const auto pruned =
      PruneNetwork(graph, groups, HalfOfAll(groups), {}, source,
                   OptionsFor(GetParam(), graph, groups), nullptr);
  EXPECT_EQ(pruned.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(pruned.status().ToString(), HasSubstr("calibration samples"));
}

// Removing channels computes what the whole network does with their weights
// set to zero, whoever chose them.
TEST_P(EveryCriterion, PrunedIsWhatTheMaskedNetworkComputes) {
  int lost = 0;
  for (int seed = 0; seed < 12; ++seed) {
    const Graph graph = RandomNet(seed);
    const ChannelGroups groups = *FindChannelGroups(graph);
    ReferenceActivationSource source = Samples(seed, {8, 3, 8, 8});
    PruneOptions options = OptionsFor(GetParam(), graph, groups);
    options.rebuild = RebuildMethod::kNone;
    PruneCache cache;
    const auto pruned = PruneNetwork(graph, groups, HalfOfAll(groups), {},
                                     source, options, &cache);
    ASSERT_TRUE(pruned.ok()) << pruned.status();
    ASSERT_TRUE(cache.symbol_scores.has_value());
    const std::vector<bool> is_kept =
        ChooseKeptSymbols(groups, *cache.symbol_scores, HalfOfAll(groups));
    lost += static_cast<int>(std::count(is_kept.begin(), is_kept.end(), false));
    const Tensor input = TestRandom(seed).NormalTensor({2, 3, 8, 8}, 1);
    ExpectNear(Evaluate(pruned->graph, input),
               Evaluate(Masked(graph, groups, is_kept), input), 1e-5);
  }
  EXPECT_GT(lost, 100);
}

INSTANTIATE_TEST_SUITE_P(Criteria, EveryCriterion,
                         ::testing::ValuesIn(PruneCriterionNames()));

TEST(Recentre, BringsTheMeanOfEachOutputBack) {
  const Graph graph = TwoLayers({1, 1, 2, -1, 3, 1}, kEqualReaders);
  const ChannelGroups groups = *FindChannelGroups(graph);
  const Tensor input = TestRandom(6).NormalTensor({64, 2, 3, 3}, 1);
  ReferenceActivationSource source({input}, 17);
  PruneOptions options = OptionsOf("l1");
  options.samples = 64;
  options.rebuild = RebuildMethod::kRecentre;
  std::vector<double> ratios(groups.groups.size(), 1);
  ratios[groups.layers[0].group] = 2.0 / 3;
  const auto pruned =
      PruneNetwork(graph, groups, ratios, {}, source, options, nullptr);
  ASSERT_TRUE(pruned.ok()) << pruned.status();
  const Tensor before = Evaluate(graph, input);
  const Tensor after = Evaluate(pruned->graph, input);
  for (int o = 0; o < 3; ++o) {
    double difference = 0;
    for (int n = 0; n < 64; ++n) {
      difference +=
          after.values<float>()[n * 3 + o] - before.values<float>()[n * 3 + o];
    }
    EXPECT_NEAR(difference / 64, 0, 1e-4);
  }
}

}  // namespace
}  // namespace lathe

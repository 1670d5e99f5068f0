#include "compressor/activation_stats.h"

#include <cmath>
#include <limits>
#include <numeric>

#include "compressor/histogram.h"
#include "compressor/testing/net_builder.h"
#include "compressor/testing/reference_activation_source.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace lathe {
namespace {

using ::testing::HasSubstr;

int64_t Total(const TensorStats& stats) {
  return std::accumulate(stats.histogram.begin(), stats.histogram.end(),
                         int64_t{0});
}

void ExpectEqual(const TensorStats& a, const TensorStats& b) {
  EXPECT_EQ(a.min, b.min);
  EXPECT_EQ(a.max, b.max);
  EXPECT_EQ(a.limit, b.limit);
  EXPECT_EQ(a.histogram, b.histogram);
}

TEST(Histogram, CountsEveryValueInItsBin) {
  TestRandom random(1);
  std::vector<float> values(1000);
  for (float& v : values) v = random.Normal(3);
  TensorStats stats = EmptyStats();
  ASSERT_TRUE(AddToStats(values, &stats));
  std::vector<int64_t> expected(kHistogramBins);
  const double width = 2.0 * stats.limit / kHistogramBins;
  for (const float v : values) {
    ++expected[static_cast<int>(std::floor((v + double{stats.limit}) / width))];
  }
  EXPECT_EQ(stats.histogram, expected);
  EXPECT_EQ(stats.min, *std::min_element(values.begin(), values.end()));
  EXPECT_EQ(stats.max, *std::max_element(values.begin(), values.end()));
}

TEST(Histogram, DependsOnTheValuesAndNotOnOrderOrChunks) {
  TestRandom random(2);
  std::vector<float> values(500);
  for (float& v : values) v = random.Normal(1);
  values[490] = 1000;
  values[3] = 0;
  values[4] = -0.0f;
  values[5] = -1e-30f;
  TensorStats whole = EmptyStats();
  ASSERT_TRUE(AddToStats(values, &whole));
  TensorStats pieces = EmptyStats();
  for (size_t i = values.size(); i-- > 0;) {
    ASSERT_TRUE(AddToStats({&values[i], 1}, &pieces));
  }
  ExpectEqual(pieces, whole);
}

TEST(Histogram, TakesTheWholeRangeOfFloats) {
  TensorStats stats = EmptyStats();
  for (const float v : {0.0f, 1e-44f, 1e-20f, 1.0f, -3e38f, 3.4e38f}) {
    ASSERT_TRUE(AddToStats({&v, 1}, &stats));
  }
  EXPECT_EQ(Total(stats), 6);
  EXPECT_TRUE(std::isfinite(stats.limit));
  EXPECT_EQ(stats.histogram.front(), 1);
  EXPECT_EQ(stats.histogram.back(), 1);
}

TEST(Histogram, RefusesWhatIsNotFinite) {
  for (const float bad : {std::numeric_limits<float>::infinity(),
                          -std::numeric_limits<float>::infinity(),
                          std::numeric_limits<float>::quiet_NaN()}) {
    TensorStats stats = EmptyStats();
    const std::vector<float> values = {1, bad, 2};
    EXPECT_FALSE(AddToStats(values, &stats));
  }
}

Graph TwoLayers() {
  NetBuilder net(1);
  const ValueId x = net.Conv(net.Input({kDynamic, 2, 4, 4}), 2, 4, 3);
  net.Relu();
  return net.Build({net.Conv(x, 4, 3, 1)});
}

TEST(ActivationStats, CoverInputsAndEveryActivationOfAllChunks) {
  const Graph graph = TwoLayers();
  TestRandom random(3);
  const Tensor input = random.NormalTensor({70, 2, 4, 4}, 1);
  ReferenceActivationSource source({input}, 17);
  const absl::StatusOr<ActivationStats> stats =
      CollectActivationStats(graph, source, 70);
  ASSERT_TRUE(stats.ok()) << stats.status();
  EXPECT_EQ(stats->samples, 70);
  ASSERT_EQ(stats->tensors.size(), 3u);
  EXPECT_EQ(Total(stats->tensors.at("input0")), 70 * 2 * 16);
  EXPECT_EQ(Total(stats->tensors.at("Conv0_out")), 70 * 4 * 16);
  EXPECT_EQ(stats->tensors.at("Conv0_out").min, 0);
  TensorStats expected = EmptyStats();
  ASSERT_TRUE(AddToStats(input.values<float>(), &expected));
  ExpectEqual(stats->tensors.at("input0"), expected);
}

TEST(ActivationStats, AModelOfFixedBatchRunsBatchByBatch) {
  NetBuilder net(1);
  ValueId x = net.Conv(net.Input({1, 2, 4, 4}), 2, 4, 3);
  x = net.Op("Reshape", {x, net.Ints({1, 64})});
  const Graph graph = net.Build({net.Gemm(x, 64, 3, true)});
  ReferenceActivationSource source({net.random().NormalTensor({5, 2, 4, 4}, 1)},
                                   17);
  const absl::StatusOr<ActivationStats> stats =
      CollectActivationStats(graph, source, 5);
  ASSERT_TRUE(stats.ok()) << stats.status();
  EXPECT_EQ(Total(stats->tensors.at("Gemm2_out")), 5 * 3);
}

TEST(ActivationStats, ANaNIsRefusedByName) {
  const Graph graph = TwoLayers();
  std::vector<float> values(2 * 16, 1.0f);
  values[5] = 3e38f;
  ReferenceActivationSource source({Tensor::Of<float>({1, 2, 4, 4}, values)},
                                   17);
  GraphParts parts = graph.parts();
  // Weights that overflow.
  for (Value& value : parts.values) {
    if (value.constant && value.constant->shape().size() == 4) {
      std::vector<float> huge(value.constant->size(), 1e10f);
      value.constant = Tensor::Of<float>(value.constant->shape(), huge);
      break;
    }
  }
  const absl::Status status =
      CollectActivationStats(*Graph::Create(parts), source, 1).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), HasSubstr("Conv0_out"));
}

TEST(ActivationStats, MaskedScoresHaveNoRange) {
  NetBuilder net(1);
  const ValueId scores = net.Input({kDynamic, 3});
  const float inf = std::numeric_limits<float>::infinity();
  const ValueId mask =
      net.Constant(Tensor::Of<float>({1, 3}, std::vector<float>{0, 0, -inf}));
  const ValueId masked = net.Op("Add", {scores, mask});
  const Graph graph =
      net.Build({net.Gemm(net.Op("Softmax", {masked}), 3, 2, true)});
  ReferenceActivationSource source({net.random().NormalTensor({4, 3}, 1)}, 17);
  const absl::StatusOr<ActivationStats> stats =
      CollectActivationStats(graph, source, 4);
  ASSERT_TRUE(stats.ok()) << stats.status();
  EXPECT_EQ(stats->tensors.count(graph.value(masked).name), 0u);
  EXPECT_EQ(stats->tensors.size(), 3u);  // Input, Softmax, Gemm.
}

TEST(ActivationStats, RefusesSamplesThatAreNotThere) {
  const Graph graph = TwoLayers();
  ReferenceActivationSource source(
      {Tensor::Of<float>({1, 2, 4, 4}, std::vector<float>(32))}, 17);
  for (const int64_t samples : {-1, 0, 2}) {
    EXPECT_EQ(CollectActivationStats(graph, source, samples).status().code(),
              absl::StatusCode::kInvalidArgument);
  }
}

ActivationStats SomeStats() {
  ActivationStats stats;
  stats.samples = 3;
  TestRandom random(4);
  for (const char* name : {"b", "a", ""}) {
    TensorStats tensor = EmptyStats();
    const Tensor values = random.NormalTensor({100}, 2);
    EXPECT_TRUE(AddToStats(values.values<float>(), &tensor));
    stats.tensors[name] = tensor;
  }
  return stats;
}

TEST(ActivationStats, ParsingInvertsSerialising) {
  const ActivationStats stats = SomeStats();
  const std::string bytes = SerializeActivationStats(stats);
  const absl::StatusOr<ActivationStats> parsed = ParseActivationStats(bytes);
  ASSERT_TRUE(parsed.ok()) << parsed.status();
  EXPECT_EQ(parsed->samples, 3);
  ASSERT_EQ(parsed->tensors.size(), 3u);
  for (const auto& [name, tensor] : stats.tensors) {
    ExpectEqual(parsed->tensors.at(name), tensor);
  }
  EXPECT_EQ(SerializeActivationStats(*parsed), bytes);
}

TEST(ActivationStats, ParsingRefusesWhatIsNotStatistics) {
  ActivationStats none = SomeStats();
  none.samples = 0;
  ActivationStats short_histogram = SomeStats();
  short_histogram.tensors["a"].histogram.resize(7);
  ActivationStats negative = SomeStats();
  negative.tensors["a"].histogram[9] = -1;
  ActivationStats no_range = SomeStats();
  no_range.tensors["a"].min = std::numeric_limits<float>::quiet_NaN();
  ActivationStats no_limit = SomeStats();
  no_limit.tensors["a"].limit = 0;
  for (const ActivationStats& bad :
       {none, short_histogram, negative, no_range, no_limit}) {
    EXPECT_EQ(
        ParseActivationStats(SerializeActivationStats(bad)).status().code(),
        absl::StatusCode::kInvalidArgument);
  }
  EXPECT_FALSE(ParseActivationStats("not statistics").ok());
}

// Of chunks of 32 samples, the newest counting a tenth.
TEST(ActivationStats, TheMovingAverageIsThatOfTheChunksMagnitudes) {
  NetBuilder net(1);
  const Graph graph = net.Build({net.Op("Relu", {net.Input({kDynamic, 4})})});
  TestRandom random(5);
  constexpr int64_t kSamples = 32 * 3 + 7;
  std::vector<float> values(kSamples * 4);
  for (float& value : values) value = random.Normal(1);
  ReferenceActivationSource source({Tensor::Of<float>({kSamples, 4}, values)},
                                   17);
  const ActivationStats stats =
      *CollectActivationStats(graph, source, kSamples);
  for (const bool has_relu : {false, true}) {
    double average = 0;
    for (int64_t first = 0; first < kSamples; first += 32) {
      double most = 0;
      for (int64_t i = first * 4; i < std::min(first + 32, kSamples) * 4; ++i) {
        most = std::max<double>(
            most, has_relu ? std::max(values[i], 0.0f) : std::abs(values[i]));
      }
      average = first == 0 ? most : 0.9 * average + 0.1 * most;
    }
    const std::string name = graph.value(graph.nodes()[0].inputs[0]).name;
    const std::string out = graph.value(graph.nodes()[0].outputs[0]).name;
    EXPECT_NEAR(stats.tensors.at(has_relu ? out : name).average_magnitude,
                average, 1e-5);
  }
}

}  // namespace
}  // namespace lathe

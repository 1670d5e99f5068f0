#include "compressor/weight_quantizer.h"

#include <cmath>
#include <limits>

#include "compressor/testing/net_builder.h"
#include "compressor/testing/tensor_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace lathe {
namespace {

using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

QuantizedWeights Quantize(const Tensor& weights, int axis, int bits,
                          ScaleMethod method) {
  absl::StatusOr<QuantizedWeights> quantized =
      QuantizeWeights(weights, axis, bits, method);
  EXPECT_TRUE(quantized.ok()) << quantized.status();
  return quantized.ok() ? *quantized : QuantizedWeights{};
}

double SquaredError(const Tensor& weights, const QuantizedWeights& quantized,
                    int axis) {
  const double rms = RootMeanSquare(
      weights, DequantizeWeights(quantized, weights.shape(), axis));
  return rms * rms;
}

class QuantizeWidths : public ::testing::TestWithParam<int> {};

TEST_P(QuantizeWidths, MinMaxErrsByAtMostHalfAStep) {
  const int bits = GetParam();
  TestRandom random(bits);
  const Tensor weights = random.NormalTensor({6, 5, 3, 3}, 0.3f);
  const QuantizedWeights quantized =
      Quantize(weights, 0, bits, ScaleMethod::kMinMax);
  const Tensor back = DequantizeWeights(quantized, weights.shape(), 0);
  const int most = (1 << (bits - 1)) - 1;
  for (int64_t i = 0; i < weights.size(); ++i) {
    EXPECT_LE(std::abs(quantized.levels[i]), most);
    const float scale = quantized.scales[i / 45];
    EXPECT_EQ(back.values<float>()[i], scale * quantized.levels[i]);
    // Half a step, and the rounding of the product with 1 / scale.
    EXPECT_LE(std::abs(back.values<float>()[i] - weights.values<float>()[i]),
              scale * (0.5f + most * 3e-7f));
  }
}

// The mean squared error of the best of 5000 scales.
double FineSearchError(const Tensor& weights, float most) {
  float magnitude = 0;
  for (const float w : weights.values<float>()) {
    magnitude = std::max(magnitude, std::abs(w));
  }
  double best = std::numeric_limits<double>::infinity();
  for (int k = 1; k <= 5000; ++k) {
    const float scale = magnitude / most * k / 5000;
    double error = 0;
    for (const float w : weights.values<float>()) {
      const float level =
          std::min(std::max(std::nearbyint(w / scale), -most), most);
      const double difference = static_cast<double>(w) - scale * level;
      error += difference * difference;
    }
    best = std::min(best, error / static_cast<double>(weights.size()));
  }
  return best;
}

TEST_P(QuantizeWidths, MseErrsLessThanMinMaxAndHardlyMoreThanAFineSearch) {
  const int bits = GetParam();
  TestRandom random(100 + bits);
  double error = 0;
  double fine = 0;
  for (int channel = 0; channel < 20; ++channel) {
    const Tensor weights = random.NormalTensor({1, 144}, 0.1f);
    const double mse =
        SquaredError(weights, Quantize(weights, 0, bits, ScaleMethod::kMse), 0);
    EXPECT_LE(
        mse, SquaredError(weights,
                          Quantize(weights, 0, bits, ScaleMethod::kMinMax), 0));
    error += mse;
    fine += FineSearchError(weights, static_cast<float>((1 << (bits - 1)) - 1));
  }
  // Single channels may miss the best scale; on the whole a search of 5000
  // gains nothing.
  EXPECT_LE(error, 1.005 * fine);
}

INSTANTIATE_TEST_SUITE_P(Bits, QuantizeWidths, ::testing::Range(2, 9));

TEST(QuantizeWeights, TwoBitsAreMinusOneZeroAndOne) {
  const Tensor weights = Tensor::Of<float>(
      {1, 6}, std::vector<float>{-1, -0.9f, 0.1f, 0, 1, 1.1f});
  const QuantizedWeights quantized = Quantize(weights, 0, 2, ScaleMethod::kMse);
  EXPECT_THAT(quantized.levels, ElementsAre(-1, -1, 0, 0, 1, 1));
  // The mean magnitude of those that are not zero is the best scale.
  EXPECT_NEAR(quantized.scales[0], 1.0f, 1e-6);
}

TEST(QuantizeWeights, ChannelsMayLieInnermost) {
  const Tensor weights =
      Tensor::Of<float>({2, 2}, std::vector<float>{127, 1, -127, 0.5f});
  const QuantizedWeights quantized =
      Quantize(weights, 1, 8, ScaleMethod::kMinMax);
  EXPECT_THAT(quantized.levels, ElementsAre(127, 127, -127, 64));
  EXPECT_THAT(quantized.scales, ElementsAre(1, ::testing::FloatEq(1 / 127.0f)));
}

TEST(QuantizeWeights, AChannelOfZerosHasScaleOne) {
  const Tensor weights = Tensor::Of<float>(
      {3, 2}, std::vector<float>{0, 0, 1e-38f, -1e-38f, 1, 1});
  const QuantizedWeights quantized = Quantize(weights, 0, 4, ScaleMethod::kMse);
  EXPECT_EQ(quantized.scales[0], 1);
  EXPECT_EQ(quantized.scales[1], 1);
  EXPECT_THAT(absl::MakeSpan(quantized.levels).subspan(0, 4), Each(0));
  EXPECT_EQ(quantized.levels[4], 7);
}

TEST(QuantizeWeights, RefusesOtherWidthsAndInfiniteWeights) {
  const Tensor one = Tensor::Of<float>({1, 1}, std::vector<float>{1});
  for (const int bits : {-1, 0, 1, 9, 32}) {
    EXPECT_THAT(std::string(QuantizeWeights(one, 0, bits, ScaleMethod::kMse)
                                .status()
                                .message()),
                HasSubstr("not in [2, 8]"));
  }
  for (const float bad : {std::numeric_limits<float>::infinity(),
                          std::numeric_limits<float>::quiet_NaN()}) {
    const Tensor weights =
        Tensor::Of<float>({1, 3}, std::vector<float>{1, bad, 2});
    EXPECT_EQ(QuantizeWeights(weights, 0, 8, ScaleMethod::kMse).status().code(),
              absl::StatusCode::kInvalidArgument);
  }
}

}  // namespace
}  // namespace lathe

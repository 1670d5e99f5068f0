#include "compressor/gram_rounding.h"

#include <Eigen/LU>
#include <algorithm>
#include <cmath>
#include <numeric>

#include "compressor/testing/net_builder.h"
#include "compressor/weight_quantizer.h"
#include "compressor/weight_values.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace lathe {
namespace {

constexpr double kDamping = 0.01;

struct Problem {
  Eigen::MatrixXd gram;
  Eigen::MatrixXd damped;
  Eigen::VectorXf weights;
};

// Correlated inputs, as neighbouring pixels are.
Problem RandomProblem(uint64_t seed, int inputs) {
  TestRandom random(seed);
  Eigen::MatrixXd x(4 * inputs, inputs);
  for (int r = 0; r < x.rows(); ++r) {
    const double shared = random.Normal(1);
    for (int c = 0; c < inputs; ++c) x(r, c) = random.Normal(1) + shared;
  }
  Problem problem;
  problem.gram = x.transpose() * x;
  problem.damped = problem.gram;
  problem.damped.diagonal().array() += kDamping * problem.gram.trace() / inputs;
  problem.weights.resize(inputs);
  for (int i = 0; i < inputs; ++i) problem.weights(i) = random.Normal(1);
  return problem;
}

double Error(const Problem& problem, const std::vector<int8_t>& levels,
             float scale) {
  Eigen::VectorXd error = problem.weights.cast<double>();
  for (size_t i = 0; i < levels.size(); ++i) error(i) -= scale * levels[i];
  return error.dot(problem.damped * error);
}

std::vector<int8_t> Nearest(const Problem& problem, float scale, int most) {
  std::vector<int8_t> levels;
  for (const float w : problem.weights) {
    levels.push_back(
        static_cast<int8_t>(NearestLevel(w, {scale, -most, most})));
  }
  return levels;
}

// GPTQ as its paper writes it: after each weight the inverse of what is left of
// the matrix is computed anew.
std::vector<int8_t> TextbookGptq(const Problem& problem, float scale,
                                 int most) {
  const int inputs = static_cast<int>(problem.weights.size());
  std::vector<int> left(inputs);
  std::iota(left.begin(), left.end(), 0);
  std::stable_sort(left.begin(), left.end(), [&problem](int a, int b) {
    return problem.damped(a, a) < problem.damped(b, b);
  });
  Eigen::VectorXd weights = problem.weights.cast<double>();
  std::vector<int8_t> levels(inputs);
  while (!left.empty()) {
    const int count = static_cast<int>(left.size());
    Eigen::MatrixXd own(count, count);
    for (int r = 0; r < count; ++r) {
      for (int c = 0; c < count; ++c) {
        own(r, c) = problem.damped(left[r], left[c]);
      }
    }
    const Eigen::MatrixXd inverse = own.inverse();
    const int at = left.back();
    const double level = std::min<double>(
        most, std::max<double>(-most, std::nearbyint(weights(at) / scale)));
    levels[at] = static_cast<int8_t>(level);
    const double error =
        (weights(at) - scale * level) / inverse(count - 1, count - 1);
    for (int i = 0; i < count - 1; ++i) {
      weights(left[i]) -= error * inverse(i, count - 1);
    }
    left.pop_back();
  }
  return levels;
}

// Squared error of the outputs, damping included.
double FitError(const Problem& problem, const Eigen::VectorXf& fitted) {
  const Eigen::VectorXd error = (problem.weights - fitted).cast<double>();
  return error.dot(problem.damped * error);
}

class GramRoundingSeeds : public ::testing::TestWithParam<int> {};

TEST_P(GramRoundingSeeds, EightBitLevelsAreThoseOfGptq) {
  const Problem problem = RandomProblem(GetParam(), 24);
  const RoundedChannel rounded =
      GramRounding(problem.gram, kDamping)
          .Round(problem.weights, {0.05f, -127, 127}, /*fits_scale=*/false);
  EXPECT_EQ(rounded.levels, TextbookGptq(problem, 0.05f, 127));
  EXPECT_EQ(rounded.scale, 0.05f);
}

TEST(GramRounding, FewLevelsErrLessThanGptqWhichErrsLessThanNearest) {
  // Each is a local search, so that it is the sum over many problems that has
  // to fall.
  constexpr int kProblems = 50;
  for (const int most : {1, 3, 7}) {
    double nearest = 0, gptq = 0, held = 0, fitted = 0;
    for (int seed = 100; seed < 100 + kProblems; ++seed) {
      const Problem problem = RandomProblem(seed, 24);
      const float scale = *ChooseScale(
          {problem.weights.data(), static_cast<size_t>(problem.weights.size())},
          most, ScaleMethod::kMse);
      const GramRounding rounding(problem.gram, kDamping);
      const RoundedChannel as_given = rounding.Round(
          problem.weights, {scale, -most, most}, /*fits_scale=*/false);
      const RoundedChannel with_scale = rounding.Round(
          problem.weights, {scale, -most, most}, /*fits_scale=*/true);
      nearest += Error(problem, Nearest(problem, scale, most), scale);
      gptq += Error(problem, TextbookGptq(problem, scale, most), scale);
      held += Error(problem, as_given.levels, scale);
      const double own = Error(problem, with_scale.levels, with_scale.scale);
      fitted += own;
      for (const int8_t level : with_scale.levels) {
        EXPECT_LE(std::abs(level), most);
      }
      EXPECT_NEAR(with_scale.error, own, 1e-3 * with_scale.error);
    }
    EXPECT_LT(gptq, nearest) << most;
    EXPECT_LT(held, gptq) << most;
    EXPECT_LT(fitted, held) << most;
  }
}

INSTANTIATE_TEST_SUITE_P(Seeds, GramRoundingSeeds, ::testing::Range(0, 10));

TEST(GramRounding, IndependentInputsRoundToTheNearestLevel) {
  Problem problem = RandomProblem(1, 16);
  problem.gram = Eigen::MatrixXd::Identity(16, 16);
  for (const int most : {1, 7, 127}) {
    EXPECT_EQ(GramRounding(problem.gram, kDamping)
                  .Round(problem.weights, {0.1f, -most, most}, false)
                  .levels,
              Nearest(problem, 0.1f, most));
  }
}

TEST(GramRounding, InputsThatAreAlwaysZeroRoundToTheNearestLevel) {
  const Problem problem = RandomProblem(2, 16);
  const RoundedChannel rounded =
      GramRounding(Eigen::MatrixXd::Zero(16, 16), kDamping)
          .Round(problem.weights, {0.1f, -7, 7}, false);
  EXPECT_EQ(rounded.levels, Nearest(problem, 0.1f, 7));
}

TEST(GramRounding, ZeroWeightsStayZero) {
  Problem problem = RandomProblem(3, 16);
  problem.weights.setZero();
  const RoundedChannel rounded = GramRounding(problem.gram, kDamping)
                                     .Round(problem.weights, {1, -1, 1}, true);
  EXPECT_EQ(rounded.levels, std::vector<int8_t>(16, 0));
  EXPECT_GT(rounded.scale, 0);
}

TEST_P(GramRoundingSeeds, ZerosAreMadeGoodByTheWeightsThatAreLeft) {
  const Problem problem = RandomProblem(GetParam(), 24);
  const Eigen::Index inputs = problem.weights.size();
  std::vector<bool> is_zero(inputs, false);
  Eigen::VectorXf masked = problem.weights;
  for (Eigen::Index i = 0; i < inputs; i += 2) {
    is_zero[i] = true;
    masked(i) = 0;
  }
  const GramRounding rounding(problem.gram, kDamping);
  const Eigen::VectorXf fitted = rounding.Fit(problem.weights, is_zero, {});
  for (Eigen::Index i = 0; i < inputs; i += 2) EXPECT_EQ(fitted(i), 0);
  EXPECT_LT(FitError(problem, fitted), FitError(problem, masked));
  // Nothing to make good: nothing changes.
  EXPECT_EQ(rounding.Fit(problem.weights, {}, {}), problem.weights);
}

TEST(GramRounding, ACodebookErrsLessThanTheNearestCodes) {
  // One codebook for all channels of a layer: the errors of a single channel's
  // own best codes add up to nothing, and leave little to make good.
  std::vector<Problem> channels;
  std::vector<float> weights;
  for (int seed = 0; seed < 20; ++seed) {
    channels.push_back(RandomProblem(seed, 24));
    const Eigen::VectorXf& own = channels.back().weights;
    weights.insert(weights.end(), own.begin(), own.end());
  }
  const std::vector<float> codes = MakeCodebook(weights, 8);
  double nearest_error = 0;
  double fitted_error = 0;
  for (const Problem& problem : channels) {
    Eigen::VectorXf nearest = problem.weights;
    for (float& weight : nearest) weight = NearestCode(codes, weight);
    const Eigen::VectorXf fitted =
        GramRounding(problem.gram, kDamping).Fit(problem.weights, {}, codes);
    for (const float value : fitted) {
      EXPECT_THAT(codes, ::testing::Contains(value));
    }
    nearest_error += FitError(problem, nearest);
    fitted_error += FitError(problem, fitted);
  }
  EXPECT_LT(fitted_error, nearest_error);
}

TEST_P(GramRoundingSeeds, ZerosStayZerosOnAGrid) {
  const Problem problem = RandomProblem(GetParam(), 24);
  std::vector<bool> is_zero(problem.weights.size(), false);
  for (size_t i = 0; i < is_zero.size(); i += 3) is_zero[i] = true;
  for (const int most : {1, 7, 127}) {
    const RoundedChannel channel =
        GramRounding(problem.gram, kDamping)
            .Round(problem.weights, {1.5f / most, -most, most},
                   /*fits_scale=*/true, is_zero);
    for (size_t i = 0; i < is_zero.size(); i += 3) {
      EXPECT_EQ(channel.levels[i], 0);
    }
  }
}

}  // namespace
}  // namespace lathe

#include "proto/confirmation.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <string>
#include <vector>

namespace lathe {
namespace {

v1::Measurement Measured(const std::vector<bool>& correct) {
  v1::Measurement m;
  std::string bits((correct.size() + 7) / 8, '\0');
  for (size_t i = 0; i < correct.size(); ++i) {
    if (!correct[i]) continue;
    bits[i / 8] = static_cast<char>(bits[i / 8] | 1 << i % 8);
    m.set_confirmation_correct(m.confirmation_correct() + 1);
  }
  m.set_confirmation_samples(static_cast<int64_t>(correct.size()));
  m.set_confirmation_bits(bits);
  return m;
}

TEST(LeadOf, IsTheDifferenceOfAccuraciesAndAsymmetric) {
  const v1::Measurement a =
      Measured({true, true, true, false, true, false, true, true, true, false});
  const v1::Measurement b = Measured(
      {true, false, true, true, false, false, true, true, false, false});
  const auto lead = LeadOf(a, b);
  ASSERT_TRUE(lead.has_value());
  EXPECT_NEAR(lead->mean(), 0.2, 1e-12);
  EXPECT_EQ(lead->samples(), 10);
  // Three samples won and one lost: (2 +- 1.96 sqrt(5 - 4 / 12)) / 12.
  EXPECT_NEAR(lead->low(), (2 - 1.959964 * std::sqrt(14.0 / 3)) / 12, 1e-6);
  EXPECT_NEAR(lead->high(), (2 + 1.959964 * std::sqrt(14.0 / 3)) / 12, 1e-6);
  const auto reverse = LeadOf(b, a);
  EXPECT_NEAR(reverse->low(), -lead->high(), 1e-12);
}

// Equally good models differ "for sure" about as often as 2.5 % allows.
TEST(LeadOf, OfEqualModelsIsRarelyAboveZero) {
  std::mt19937 random(5);
  std::bernoulli_distribution is_same(0.95);
  std::bernoulli_distribution is_correct(0.8);
  constexpr int kRuns = 2000;
  int wins = 0;
  for (int run = 0; run < kRuns; ++run) {
    std::vector<bool> a, b;
    for (int i = 0; i < 200; ++i) {
      a.push_back(is_correct(random));
      b.push_back(is_same(random) ? a.back() : is_correct(random));
    }
    wins += LeadOf(Measured(a), Measured(b))->low() > 0;
  }
  // Two standard errors of 2.5 % of 2000 above it.
  EXPECT_LE(wins, 0.025 * kRuns + 2 * std::sqrt(0.025 * kRuns));
}

TEST(LeadOf, IsNothingWhereTheSamplesDiffer) {
  EXPECT_FALSE(LeadOf(Measured({true}), Measured({true, false})).has_value());
  EXPECT_FALSE(LeadOf(v1::Measurement(), v1::Measurement()).has_value());
}

TEST(AreConfirmationBits, RefusesWhatDoesNotAddUp) {
  const v1::Measurement good = Measured(std::vector<bool>(11, true));
  EXPECT_TRUE(AreConfirmationBits(good));
  EXPECT_TRUE(AreConfirmationBits(v1::Measurement()));
  v1::Measurement bad = good;
  bad.set_confirmation_correct(10);
  EXPECT_FALSE(AreConfirmationBits(bad));
  bad = good;
  bad.set_confirmation_samples(10);
  EXPECT_FALSE(AreConfirmationBits(bad));
  bad = good;
  bad.set_confirmation_samples(17);
  EXPECT_FALSE(AreConfirmationBits(bad));
  bad = good;
  bad.set_confirmation_samples(-1);
  EXPECT_FALSE(AreConfirmationBits(bad));
}

}  // namespace
}  // namespace lathe

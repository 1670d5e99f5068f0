#include "proto/confirmation.h"

#include <bitset>
#include <cmath>
#include <cstdint>
#include <string>

#include "absl/strings/match.h"

namespace lathe {
namespace {

constexpr int kByte = 8;

int64_t CountOnes(unsigned char byte) {
  return static_cast<int64_t>(std::bitset<kByte>(byte).count());
}

}  // namespace

std::optional<v1::PairedDifference> LeadOf(const v1::Measurement& a,
                                           const v1::Measurement& b) {
  const std::string& first = a.confirmation_bits();
  const std::string& second = b.confirmation_bits();
  if (a.confirmation_samples() == 0 ||
      a.confirmation_samples() != b.confirmation_samples() ||
      first.size() != second.size()) {
    return std::nullopt;
  }
  int64_t only_first = 0;
  int64_t only_second = 0;
  for (size_t i = 0; i < first.size(); ++i) {
    const auto x = static_cast<unsigned char>(first[i]);
    const auto y = static_cast<unsigned char>(second[i]);
    only_first += CountOnes(x & ~y);
    only_second += CountOnes(y & ~x);
  }
  constexpr double kZ = 1.959963984540054;  // 97.5 % quantile of the normal.
  // Half a sample in each of four cells.
  const double n = static_cast<double>(a.confirmation_samples()) + 2;
  const auto difference = static_cast<double>(only_first - only_second);
  const double differing = static_cast<double>(only_first + only_second) + 1;
  const double half =
      kZ * std::sqrt(differing - difference * difference / n) / n;
  v1::PairedDifference lead;
  lead.set_mean(difference / static_cast<double>(a.confirmation_samples()));
  lead.set_low(difference / n - half);
  lead.set_high(difference / n + half);
  lead.set_samples(a.confirmation_samples());
  return lead;
}

bool IsSolversAnswer(const v1::Trial& trial) {
  return absl::EndsWith(trial.proposal().source(), kSolversAnswer);
}

bool AreConfirmationBits(const v1::Measurement& measurement) {
  const std::string& bits = measurement.confirmation_bits();
  const int64_t samples = measurement.confirmation_samples();
  if (samples < 0 || static_cast<int64_t>(bits.size()) != (samples + 7) / 8) {
    return false;
  }
  int64_t correct = 0;
  for (const char byte : bits) {
    correct += CountOnes(static_cast<unsigned char>(byte));
  }
  const int used = static_cast<int>(samples % kByte);
  const bool has_more =
      used > 0 && static_cast<unsigned char>(bits.back()) >> used != 0;
  return !has_more && correct == measurement.confirmation_correct();
}

}  // namespace lathe

#include "compressor/weight_values.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <string>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace lathe {
namespace {

// Rounds of k-means: layers of the sample networks stand still after fewer.
constexpr int kMostRounds = 64;
constexpr int kMostOf = 64;

// Marks the `zeros` smallest of the weights [first, first + count).
void MarkSmallest(absl::Span<const float> weights, int64_t first, int64_t count,
                  int64_t zeros, std::vector<bool>* mask) {
  std::vector<int64_t> order(count);
  std::iota(order.begin(), order.end(), first);
  std::stable_sort(order.begin(), order.end(),
                   [&weights](int64_t a, int64_t b) {
                     return std::abs(weights[a]) < std::abs(weights[b]);
                   });
  for (int64_t i = 0; i < zeros; ++i) (*mask)[order[i]] = true;
}

}  // namespace

absl::StatusOr<Sparsity> ParseSparsity(absl::string_view text) {
  Sparsity sparsity;
  if (text.empty()) return sparsity;
  const std::pair<std::string, std::string> parts =
      absl::StrSplit(text, absl::MaxSplits(':', 1));
  bool is_good = false;
  if (parts.second.empty()) {
    is_good = absl::SimpleAtod(text, &sparsity.ratio) && sparsity.ratio >= 0 &&
              sparsity.ratio < 1;
  } else {
    is_good = absl::SimpleAtoi(parts.first, &sparsity.zeros) &&
              absl::SimpleAtoi(parts.second, &sparsity.of) &&
              sparsity.zeros > 0 && sparsity.zeros < sparsity.of &&
              sparsity.of <= kMostOf;
  }
  if (is_good) return sparsity;
  return absl::InvalidArgumentError(
      absl::StrCat("'", text,
                   "' is neither a share in [0, 1) nor ZEROS:OF as in 2:4 with "
                   "0 < ZEROS < OF <= ",
                   kMostOf));
}

std::vector<bool> ZeroMask(absl::Span<const float> weights, int64_t per_output,
                           const Sparsity& sparsity) {
  const int64_t count = static_cast<int64_t>(weights.size());
  std::vector<bool> mask(count, false);
  if (sparsity.of == 0) {
    MarkSmallest(weights, 0, count,
                 std::llround(sparsity.ratio * static_cast<double>(count)),
                 &mask);
    return mask;
  }
  for (int64_t row = 0; row + per_output <= count; row += per_output) {
    for (int64_t i = 0; i + sparsity.of <= per_output; i += sparsity.of) {
      MarkSmallest(weights, row + i, sparsity.of, sparsity.zeros, &mask);
    }
  }
  return mask;
}

std::vector<float> MakeCodebook(std::vector<float> weights, int count) {
  if (weights.empty()) return {0};
  std::sort(weights.begin(), weights.end());
  const double low = weights.front();
  const double high = weights.back();
  std::vector<float> codes;
  for (int i = 0; i < count; ++i) {
    codes.push_back(
        static_cast<float>(low + (high - low) * (2 * i + 1) / (2.0 * count)));
  }
  for (int round = 0; round < kMostRounds; ++round) {
    std::vector<double> sums(codes.size());
    std::vector<int64_t> counts(codes.size());
    size_t nearest = 0;
    for (const float weight : weights) {
      while (nearest + 1 < codes.size() &&
             std::abs(codes[nearest + 1] - weight) <
                 std::abs(codes[nearest] - weight)) {
        ++nearest;
      }
      sums[nearest] += weight;
      ++counts[nearest];
    }
    std::vector<float> moved;
    for (size_t i = 0; i < codes.size(); ++i) {
      if (counts[i] == 0) continue;  // Nobody's.
      moved.push_back(
          static_cast<float>(sums[i] / static_cast<double>(counts[i])));
    }
    if (moved == codes) break;
    codes = std::move(moved);
  }
  return codes;
}

float NearestCode(absl::Span<const float> codebook, float x) {
  const auto above = std::lower_bound(codebook.begin(), codebook.end(), x);
  if (above == codebook.begin()) return codebook.front();
  if (above == codebook.end()) return codebook.back();
  const float below = *(above - 1);
  return x - below <= *above - x ? below : *above;
}

}  // namespace lathe

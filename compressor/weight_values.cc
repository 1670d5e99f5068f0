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
// Parts of equally many weights between which a codebook's best cuts are looked
// for: all single weights of a small layer.
constexpr int64_t kMostParts = 4096;
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

// The best cut of sorted numbers into runs: least sum of squared distances from
// each run's mean, among cuts between the given parts.
class BestCuts {
 public:
  explicit BestCuts(absl::Span<const float> sorted) {
    const int64_t count = static_cast<int64_t>(sorted.size());
    const int64_t parts = std::min(count, kMostParts);
    for (int64_t p = 0; p <= parts; ++p) ends_.push_back(p * count / parts);
    double sum = 0;
    double squares = 0;
    int64_t next = 0;
    for (const int64_t end : ends_) {
      for (; next < end; ++next) {
        sum += sorted[next];
        squares += static_cast<double>(sorted[next]) * sorted[next];
      }
      sums_.push_back(sum);
      squares_.push_back(squares);
    }
    // One run.
    for (int64_t p = 0; p <= parts; ++p) costs_.push_back(CostOf(0, p));
  }

  // Allows one run more.
  void AddRun() {
    const int64_t parts = static_cast<int64_t>(ends_.size()) - 1;
    std::vector<double> costs(costs_.size());
    std::vector<int64_t> starts(costs_.size());
    FillCosts({0, parts, 0, parts}, &costs, &starts);
    costs_ = std::move(costs);
    starts_.push_back(std::move(starts));
  }

  // The mean of each run.
  std::vector<float> Means() const {
    std::vector<float> means;
    int64_t end = static_cast<int64_t>(ends_.size()) - 1;
    for (size_t run = starts_.size() + 1; run-- > 0 && end > 0;) {
      const int64_t start = run == 0 ? 0 : starts_[run - 1][end];
      if (start == end) continue;
      means.push_back(static_cast<float>((sums_[end] - sums_[start]) /
                                         (ends_[end] - ends_[start])));
      end = start;
    }
    std::reverse(means.begin(), means.end());
    return means;
  }

 private:
  // Ends [first, last] have their last run start in [least, most].
  struct Span {
    int64_t first = 0;
    int64_t last = 0;
    int64_t least = 0;
    int64_t most = 0;
  };

  // Of one run over the parts [start, end).
  double CostOf(int64_t start, int64_t end) const {
    const double count = static_cast<double>(ends_[end] - ends_[start]);
    const double sum = sums_[end] - sums_[start];
    return count == 0 ? 0 : squares_[end] - squares_[start] - sum * sum / count;
  }

  // The best start moves right with the end, so that what the middle one
  // leaves bounds the others.
  void FillCosts(const Span& span, std::vector<double>* costs,
                 std::vector<int64_t>* starts) const {
    if (span.first > span.last) return;
    const int64_t end = (span.first + span.last) / 2;
    double best = HUGE_VAL;
    int64_t best_start = span.least;
    for (int64_t s = span.least; s <= std::min(span.most, end); ++s) {
      const double cost = costs_[s] + CostOf(s, end);
      if (cost >= best) continue;
      best = cost;
      best_start = s;
    }
    (*costs)[end] = best;
    (*starts)[end] = best_start;
    FillCosts({span.first, end - 1, span.least, best_start}, costs, starts);
    FillCosts({end + 1, span.last, best_start, span.most}, costs, starts);
  }

  std::vector<int64_t> ends_;    // Of the parts before each.
  std::vector<double> sums_;     // Of the numbers before each part.
  std::vector<double> squares_;  // Likewise.
  std::vector<double> costs_;    // Least cost of all runs up to each end.
  // By run but the first: where it starts, by its end.
  std::vector<std::vector<int64_t>> starts_;
};

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
  BestCuts cuts(weights);
  for (int i = 1; i < count; ++i) cuts.AddRun();
  std::vector<float> codes = cuts.Means();
  codes.erase(std::unique(codes.begin(), codes.end()), codes.end());
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

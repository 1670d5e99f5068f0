#include "data/split.h"

#include <algorithm>
#include <map>
#include <numeric>
#include <random>

#include "absl/strings/str_cat.h"
#include "base/status.h"

namespace lathe {
namespace {

// Any constant does; it must not change, or reports change with it.
constexpr uint64_t kSplitSeed = 0x6c61746865;
constexpr int64_t kLeastWithoutCounts = 50;
constexpr int64_t kMostCalibration = 512;
constexpr int64_t kMostSearch = 4000;

enum Part { kCalibration, kSearch, kConfirmation, kReport, kParts };
constexpr double kShares[kParts] = {0.1, 0.4, 0.2, 0.3};

// Fisher and Yates's shuffle, spelt out: std::shuffle and the standard
// distributions differ between libraries.
void Shuffle(std::mt19937_64* random, std::vector<int64_t>* values) {
  for (size_t i = values->size(); i > 1; --i) {
    std::swap((*values)[i - 1], (*values)[(*random)() % i]);
  }
}

// All samples in an order of which every stretch has the classes' shares:
// the j-th shuffled sample of a class of n stands at (j + 1/2) / n.
std::vector<int64_t> StratifiedOrder(int64_t sample_count,
                                     absl::Span<const int64_t> labels) {
  std::map<int64_t, std::vector<int64_t>> by_label;
  for (int64_t i = 0; i < sample_count; ++i) {
    by_label[labels.empty() ? 0 : labels[i]].push_back(i);
  }
  struct Place {
    double at;
    int64_t sample;
  };
  std::vector<Place> places;
  std::mt19937_64 random(kSplitSeed);
  for (auto& [label, samples] : by_label) {
    Shuffle(&random, &samples);
    for (size_t j = 0; j < samples.size(); ++j) {
      places.push_back({(j + 0.5) / samples.size(), samples[j]});
    }
  }
  // Stable: classes of one size stand in the order of their labels.
  std::stable_sort(places.begin(), places.end(),
                   [](const Place& a, const Place& b) { return a.at < b.at; });
  std::vector<int64_t> order;
  for (const Place& place : places) order.push_back(place.sample);
  return order;
}

absl::Status CheckCounts(int64_t sample_count, absl::Span<const int64_t> asked,
                         bool has_own_blob) {
  int64_t sum = 0;
  for (const int64_t count : asked) {
    if (count < 0) {
      return absl::InvalidArgumentError(
          absl::StrCat("a split of ", count, " samples"));
    }
    // Each is compared alone first, so that the sum cannot overflow.
    if (count > sample_count || sum + count > sample_count) {
      return absl::InvalidArgumentError(absl::StrCat(
          "splits of ", asked[kCalibration], " + ", asked[kSearch], " + ",
          asked[kConfirmation], " + ", asked[kReport], " samples exceed the ",
          sample_count, " there are; ask for fewer"));
    }
    sum += count;
  }
  if (sample_count < kLeastWithoutCounts && sum == 0 && !has_own_blob) {
    return absl::InvalidArgumentError(
        absl::StrCat(sample_count, " samples, fewer than ", kLeastWithoutCounts,
                     ": say how many serve for what (--calibration, --search, "
                     "--confirmation, --report)"));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<Split> SplitDataset(int64_t sample_count,
                                   absl::Span<const int64_t> labels,
                                   const v1::DatasetSpec& spec) {
  int64_t counts[kParts] = {spec.calibration_samples(), spec.search_samples(),
                            spec.confirmation_samples(), spec.report_samples()};
  const bool has_blob[kParts] = {
      !spec.calibration_digest().empty(), !spec.search_digest().empty(),
      !spec.confirmation_digest().empty(), !spec.report_digest().empty()};
  // A count beside a blob says how much of the blob to take, nothing of ours.
  for (int part = 0; part < kParts; ++part) {
    if (has_blob[part]) counts[part] = 0;
  }
  LATHE_RETURN_IF_ERROR(CheckCounts(
      sample_count, counts,
      std::find(has_blob, has_blob + kParts, true) != has_blob + kParts));

  // Shares of the whole; less where what was asked for leaves less.
  int64_t left =
      sample_count - std::accumulate(counts, counts + kParts, int64_t{0});
  double open_shares = 0;
  for (int part = 0; part < kParts; ++part) {
    if (counts[part] == 0 && !has_blob[part]) open_shares += kShares[part];
  }
  const double base =
      open_shares == 0 ? 0 : std::min<double>(sample_count, left / open_shares);
  for (int part = 0; part < kReport; ++part) {
    if (counts[part] != 0 || has_blob[part]) continue;
    int64_t count = static_cast<int64_t>(kShares[part] * base + 1e-9);
    if (part == kCalibration) count = std::min(count, kMostCalibration);
    if (part == kSearch) count = std::min(count, kMostSearch);
    counts[part] = std::min(count, left);
    left -= counts[part];
  }
  if (counts[kReport] == 0 && !has_blob[kReport]) counts[kReport] = left;

  const std::vector<int64_t> order = StratifiedOrder(sample_count, labels);
  Split split;
  std::vector<int64_t>* const parts[kParts] = {
      &split.calibration, &split.search, &split.confirmation, &split.report};
  auto next = order.begin();
  for (int part = 0; part < kParts; ++part) {
    parts[part]->assign(next, next + counts[part]);
    std::sort(parts[part]->begin(), parts[part]->end());
    next += counts[part];
  }
  return split;
}

}  // namespace lathe

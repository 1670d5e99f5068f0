#include "evaluator/group_merging.h"

#include <algorithm>
#include <string>

#include "absl/strings/match.h"

namespace lathe {
namespace {

// Input channels of merged groups: fewer leave vectors unfilled, more multiply
// too many zeros.
constexpr int64_t kLeastChannels = 16;
constexpr int64_t kMostChannels = 64;

// Whether oneDNN has a kernel for it other than its plain one and the one that
// copies windows together for matrix products, group by group.
bool IsQuick(const ConvolutionSpec& spec, const Shape& weights) {
  ConvolutionSpec merged = spec;
  merged.weights = AnyDesc(weights, DataType::kFloat32);
  const auto kernel = MakeConvolution(merged, {});
  return kernel.ok() && !IsReferenceImplementation(kernel->implementation) &&
         !absl::StrContains(kernel->implementation, "gemm");
}

template <typename T>
std::vector<T> Merge(absl::Span<const T> values, const Shape& weights,
                     int64_t merged) {
  const int64_t out = weights[1];
  const int64_t in = weights[2];
  const int64_t taps = ElementCount(absl::MakeConstSpan(weights).subspan(3));
  std::vector<T> result(values.size() * merged, T{0});
  for (int64_t row = 0; row < weights[0] * out; ++row) {
    const int64_t place = row / out % merged;
    std::copy_n(values.data() + row * in * taps, in * taps,
                result.data() + (row * merged + place) * in * taps);
  }
  return result;
}

}  // namespace

int64_t GroupsToMerge(const ConvolutionSpec& spec, const Shape& weights) {
  const int64_t groups = weights[0];
  const int64_t in = weights[2];
  if (in >= kLeastChannels || IsQuick(spec, weights)) return 1;
  for (int64_t merged = 2; merged <= groups; ++merged) {
    if (groups % merged != 0 || merged * in < kLeastChannels) continue;
    if (merged * in > kMostChannels) break;
    if (IsQuick(spec, MergedShape(weights, merged))) return merged;
  }
  return 1;
}

Shape MergedShape(const Shape& weights, int64_t merged) {
  Shape shape = weights;
  shape[0] /= merged;
  shape[1] *= merged;
  shape[2] *= merged;
  return shape;
}

std::vector<float> MergeGroups(absl::Span<const float> values,
                               const Shape& weights, int64_t merged) {
  return Merge(values, weights, merged);
}

std::vector<int8_t> MergeGroups(absl::Span<const int8_t> levels,
                                const Shape& weights, int64_t merged) {
  return Merge(levels, weights, merged);
}

}  // namespace lathe

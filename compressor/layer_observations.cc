#include "compressor/layer_observations.h"

#include <algorithm>
#include <numeric>
#include <utility>

#include "absl/types/span.h"
#include "base/numeric.h"
#include "base/status.h"

namespace lathe {
namespace {

// `count` of 0..total-1 without repetition, ascending (Fisher and Yates, the
// first `count` steps).
std::vector<int64_t> Draw(int64_t total, int64_t count, uint64_t seed) {
  std::vector<int64_t> all(total);
  std::iota(all.begin(), all.end(), 0);
  if (count >= total) return all;
  for (int64_t i = 0; i < count; ++i) {
    const uint64_t draw = MixSeed(seed, static_cast<uint64_t>(i));
    std::swap(all[i], all[i + static_cast<int64_t>(draw % (total - i))]);
  }
  all.resize(count);
  std::sort(all.begin(), all.end());
  return all;
}

}  // namespace

absl::StatusOr<LayerObservations> LayerObservations::Create(
    const Node& node, const Shape& weights, const Shape& input,
    int64_t most_rows, uint64_t seed) {
  LayerObservations made;
  const absl::Span<const int64_t> dims(input);
  const int64_t samples = dims.size() > 1 ? dims[0] : 1;
  if (node.op_type == "Conv") {
    LATHE_ASSIGN_OR_RETURN(
        made.window_,
        ResolveWindow(node, dims.subspan(2),
                      absl::Span<const int64_t>(weights).subspan(2)));
    made.positions_ = ElementCount(made.window_->out);
  } else if (dims.size() > 2) {
    made.positions_ = ElementCount(dims.subspan(1, dims.size() - 2));
  }
  const int64_t rows_per_sample = (most_rows + samples - 1) / samples;
  for (int64_t n = 0; n < samples; ++n) {
    for (const int64_t index :
         Draw(made.positions_, rows_per_sample, MixSeed(seed, n))) {
      made.rows_.push_back({n, index});
    }
  }
  return made;
}

std::vector<std::optional<int64_t>> LayerObservations::TapsAt(
    int64_t index) const {
  std::vector<std::optional<int64_t>> taps = {0};
  // Row-major strides and coordinates are found from the innermost dimension
  // out, the taps from the outermost in.
  const size_t rank = window_->out.size();
  std::vector<int64_t> start(rank);
  for (size_t d = rank; d-- > 0; index /= window_->out[d]) {
    start[d] =
        index % window_->out[d] * window_->strides[d] - window_->pads_begin[d];
  }
  for (size_t d = 0; d < rank; ++d) {
    std::vector<std::optional<int64_t>> finer;
    finer.reserve(taps.size() * window_->kernel[d]);
    for (const std::optional<int64_t>& tap : taps) {
      for (int64_t k = 0; k < window_->kernel[d]; ++k) {
        const int64_t at = start[d] + k * window_->dilations[d];
        const bool is_inside = tap && at >= 0 && at < window_->in[d];
        finer.push_back(is_inside
                            ? std::optional<int64_t>(*tap * window_->in[d] + at)
                            : std::nullopt);
      }
    }
    taps = std::move(finer);
  }
  return taps;
}

Observations LayerObservations::Inputs(const Tensor& input, int64_t first,
                                       int64_t channels) const {
  const absl::Span<const float> values = input.values<float>();
  const int64_t rows = static_cast<int64_t>(rows_.size());
  if (!window_) {
    const int64_t features = input.shape().back();
    Observations matrix(rows, channels);
    for (int64_t r = 0; r < rows; ++r) {
      const int64_t at = rows_[r].sample * positions_ + rows_[r].index;
      std::copy_n(&values[at * features + first], channels,
                  matrix.row(r).data());
    }
    return matrix;
  }
  const int64_t size = ElementCount(window_->in);
  const int64_t taps_per_channel = ElementCount(window_->kernel);
  Observations matrix(rows, channels * taps_per_channel);
  for (int64_t r = 0; r < rows; ++r) {
    const std::vector<std::optional<int64_t>> taps = TapsAt(rows_[r].index);
    float* out = matrix.row(r).data();
    for (int64_t c = 0; c < channels; ++c) {
      const int64_t start =
          (rows_[r].sample * input.shape()[1] + first + c) * size;
      for (const std::optional<int64_t>& tap : taps) {
        *out++ = tap ? values[start + *tap] : 0.0f;
      }
    }
  }
  return matrix;
}

Observations LayerObservations::Outputs(const Tensor& output, int64_t first,
                                        int64_t channels) const {
  const absl::Span<const float> values = output.values<float>();
  const int64_t rows = static_cast<int64_t>(rows_.size());
  const int64_t total = window_ ? output.shape()[1] : output.shape().back();
  const int64_t channel_step = window_ ? positions_ : 1;
  const int64_t position_step = window_ ? 1 : total;
  Observations matrix(rows, channels);
  for (int64_t r = 0; r < rows; ++r) {
    const int64_t start =
        rows_[r].sample * positions_ * total + rows_[r].index * position_step;
    for (int64_t c = 0; c < channels; ++c) {
      matrix(r, c) = values[start + (first + c) * channel_step];
    }
  }
  return matrix;
}

}  // namespace lathe

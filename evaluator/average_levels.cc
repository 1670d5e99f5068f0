#include "evaluator/average_levels.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

namespace lathe {
namespace {

// The taps of one output position along one dimension.
struct Taps {
  int64_t first = 0;
  int64_t count = 0;
  // Of them and of the padding that counts.
  int64_t counted = 0;
};

struct Axis {
  int64_t in = 1;
  int64_t dilation = 1;
  std::vector<Taps> taps = std::vector<Taps>(1, Taps{0, 1, 1});
};

Axis MakeAxis(const Window& window, int d, bool counts_padding) {
  Axis axis;
  axis.in = window.in[d];
  axis.dilation = window.dilations[d];
  axis.taps.assign(window.out[d], {});
  for (int64_t o = 0; o < window.out[d]; ++o) {
    Taps& taps = axis.taps[o];
    for (int64_t k = 0; k < window.kernel[d]; ++k) {
      const int64_t i =
          o * window.strides[d] - window.pads_begin[d] + k * axis.dilation;
      const bool is_inside = i >= 0 && i < axis.in;
      if (is_inside && taps.count++ == 0) taps.first = i;
      const bool is_padding = i < axis.in + window.pads_end[d];
      if (is_inside || (counts_padding && is_padding)) ++taps.counted;
    }
  }
  return axis;
}

struct Plan {
  int64_t batch = 0;
  int64_t channels = 0;
  std::array<Axis, 3> axes;
  Encoding input;
  Encoding output;
};

template <typename In>
void SumWindow(const Plan& plan, const In* image, const Taps& z, const Taps& y,
               const Taps& x, int32_t* sums) {
  std::fill_n(sums, plan.channels, 0);
  const auto& axes = plan.axes;
  for (int64_t i = 0; i < z.count; ++i) {
    for (int64_t j = 0; j < y.count; ++j) {
      for (int64_t k = 0; k < x.count; ++k) {
        const int64_t depth = z.first + i * axes[0].dilation;
        const int64_t row = y.first + j * axes[1].dilation;
        const int64_t column = x.first + k * axes[2].dilation;
        const In* pixel =
            image +
            ((depth * axes[1].in + row) * axes[2].in + column) * plan.channels;
        for (int64_t c = 0; c < plan.channels; ++c) sums[c] += pixel[c];
      }
    }
  }
}

template <typename Out>
void Store(const Plan& plan, const int32_t* sums, int64_t taps, int64_t counted,
           Out* out) {
  const int32_t zero = plan.input.zero_point * static_cast<int32_t>(taps);
  const float scale = plan.input.scale / static_cast<float>(counted);
  for (int64_t c = 0; c < plan.channels; ++c) {
    const float mean = scale * static_cast<float>(sums[c] - zero);
    if constexpr (std::is_same_v<Out, float>) {
      out[c] = mean;
    } else {
      const float level = std::nearbyint(mean / plan.output.scale) +
                          static_cast<float>(plan.output.zero_point);
      out[c] = static_cast<Out>(
          std::clamp<float>(level, std::numeric_limits<Out>::min(),
                            std::numeric_limits<Out>::max()));
    }
  }
}

template <typename In, typename Out>
void Average(const Plan& plan, const In* in, Out* out,
             std::vector<int32_t>* sums) {
  const auto& axes = plan.axes;
  const int64_t image = axes[0].in * axes[1].in * axes[2].in * plan.channels;
  for (int64_t n = 0; n < plan.batch; ++n) {
    for (const Taps& z : axes[0].taps) {
      for (const Taps& y : axes[1].taps) {
        for (const Taps& x : axes[2].taps) {
          SumWindow(plan, in + n * image, z, y, x, sums->data());
          Store(plan, sums->data(), z.count * y.count * x.count,
                z.counted * y.counted * x.counted, out);
          out += plan.channels;
        }
      }
    }
  }
}

template <typename In>
void AverageTo(const Plan& plan, const In* in, char* out,
               std::vector<int32_t>* sums) {
  switch (plan.output.type) {
    case DataType::kUint8:
      return Average(plan, in, reinterpret_cast<uint8_t*>(out), sums);
    case DataType::kInt8:
      return Average(plan, in, reinterpret_cast<int8_t*>(out), sums);
    default:
      return Average(plan, in, reinterpret_cast<float*>(out), sums);
  }
}

}  // namespace

Loop AverageLevelsLoop(int64_t batch, int64_t channels, const Window& window,
                       bool counts_padding, const Encoding& input,
                       const Encoding& output) {
  Plan plan;
  plan.batch = batch;
  plan.channels = channels;
  plan.input = input;
  plan.output = output;
  const int rank = static_cast<int>(window.in.size());
  for (int d = 0; d < rank; ++d) {
    plan.axes[3 - rank + d] = MakeAxis(window, d, counts_padding);
  }
  std::vector<int32_t> sums(channels);
  return [plan, sums](absl::Span<char* const> operands) mutable {
    if (plan.input.type == DataType::kUint8) {
      AverageTo(plan, reinterpret_cast<const uint8_t*>(operands[0]),
                operands[1], &sums);
    } else {
      AverageTo(plan, reinterpret_cast<const int8_t*>(operands[0]), operands[1],
                &sums);
    }
    return absl::OkStatus();
  };
}

}  // namespace lathe

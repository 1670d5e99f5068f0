// The geometry of convolutions and pools: where windows lie over an input.
#ifndef LATHE_COMPRESSOR_WINDOW_H_
#define LATHE_COMPRESSOR_WINDOW_H_

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "compressor/graph.h"

namespace lathe {

// One entry per spatial dimension. Output position o covers the input positions
// o * stride - pad_begin + k * dilation for k in [0, kernel).
struct Window {
  std::vector<int64_t> kernel;
  std::vector<int64_t> strides;
  std::vector<int64_t> dilations;
  std::vector<int64_t> pads_begin;
  std::vector<int64_t> pads_end;
  // Sizes of the input and of the output.
  std::vector<int64_t> in;
  std::vector<int64_t> out;
};

// The window of a Conv or a pool from its attributes (kernel_shape, strides,
// dilations, pads, auto_pad, ceil_mode), for spatial input sizes `in`.
// `kernel` is the spatial part of the weights of a Conv; empty for a pool.
//
// Errors:
//   InvalidArgument - attributes that do not fit each other or the input; the
//     message says which, without the node's name.
absl::StatusOr<Window> ResolveWindow(const Node& node,
                                     absl::Span<const int64_t> in,
                                     absl::Span<const int64_t> kernel);

// The same for a ConvTranspose (output_padding, output_shape): `in` are the
// sizes of what the node reads, `out` of what it makes; position i of the input
// is spread over the output positions i * stride - pad_begin + k * dilation.
absl::StatusOr<Window> ResolveTransposedWindow(
    const Node& node, absl::Span<const int64_t> in,
    absl::Span<const int64_t> kernel);

}  // namespace lathe

#endif  // LATHE_COMPRESSOR_WINDOW_H_

// Inputs and outputs of a layer as rows of a regression.
#ifndef LATHE_COMPRESSOR_LAYER_OBSERVATIONS_H_
#define LATHE_COMPRESSOR_LAYER_OBSERVATIONS_H_

#include <cstdint>
#include <optional>
#include <vector>

#include "absl/status/statusor.h"
#include "compressor/graph.h"
#include "compressor/ridge.h"
#include "compressor/tensor.h"
#include "compressor/window.h"

namespace lathe {

// Picks output positions of a Conv, Gemm (transA = 0) or MatMul, and reads at
// them what the layer sees and what it makes. Immutable.
class LayerObservations {
 public:
  // `most_rows` positions spread evenly over the samples and drawn by `seed`
  // within each; all positions where there are no more.
  //
  // Errors: InvalidArgument - the node's attributes do not fit the shapes.
  static absl::StatusOr<LayerObservations> Create(const Node& node,
                                                  const Shape& weights,
                                                  const Shape& input,
                                                  int64_t most_rows,
                                                  uint64_t seed);

  // [rows, channels * taps]: the patches that meet the weights of channels
  // [first, first + channels) of `input`, in the weights' order.
  Observations Inputs(const Tensor& input, int64_t first,
                      int64_t channels) const;
  // [rows, channels]: channels [first, first + channels) of `output`.
  Observations Outputs(const Tensor& output, int64_t first,
                       int64_t channels) const;

 private:
  struct Position {
    int64_t sample = 0;
    int64_t index = 0;  // Of the output's positions, flat.
  };

  LayerObservations() = default;
  // For each tap the input position that it reads for output `index`; none
  // where it lies in the padding.
  std::vector<std::optional<int64_t>> TapsAt(int64_t index) const;

  // None for Gemm and MatMul, whose channels lie innermost.
  std::optional<Window> window_;
  std::vector<Position> rows_;
  int64_t positions_ = 1;  // Output positions of a sample.
};

}  // namespace lathe

#endif  // LATHE_COMPRESSOR_LAYER_OBSERVATIONS_H_

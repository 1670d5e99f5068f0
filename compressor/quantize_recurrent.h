// The integer weights of an LSTM or GRU.
#ifndef LATHE_COMPRESSOR_QUANTIZE_RECURRENT_H_
#define LATHE_COMPRESSOR_QUANTIZE_RECURRENT_H_

#include <optional>

#include "absl/status/statusor.h"
#include "compressor/graph.h"
#include "compressor/quantize_layer.h"
#include "compressor/tensor.h"

namespace lathe {

struct QuantizedRecurrent {
  // Of W and R, inputs[1] and inputs[2].
  QuantizedWeights weights;
  QuantizedWeights recurrence;
};

// What an LSTM or GRU reads and makes.
struct RecurrentSamples {
  // X of the quantised network.
  const Tensor& input;
  // Y of the original, whose shifted rows stand for its states.
  const Tensor& states;
};

// `weights` and `recurrence` as integers of `bits` bits, with a scale for each
// row of all directions, or one for each tensor. With second-order rounding and
// `samples` a network of one direction is rounded by the Gram matrices of its
// inputs and of its states (gram_rounding.h), one after the other; else each
// weight goes to its nearest level. Biases stay, and nothing is refit.
//
// Errors:
//   InvalidArgument - `bits` is not in [2, 8], or a weight is not finite.
absl::StatusOr<QuantizedRecurrent> QuantizeRecurrent(
    const Node& node, const Tensor& weights, const Tensor& recurrence, int bits,
    const std::optional<RecurrentSamples>& samples,
    const WeightOptions& options);

// The axis of W and R along which their scales lie.
constexpr int kRecurrentScaleAxis = 1;

}  // namespace lathe

#endif  // LATHE_COMPRESSOR_QUANTIZE_RECURRENT_H_

// The integer weights of one layer.
#ifndef LATHE_COMPRESSOR_QUANTIZE_LAYER_H_
#define LATHE_COMPRESSOR_QUANTIZE_LAYER_H_

#include <cstdint>
#include <optional>

#include "absl/status/statusor.h"
#include "compressor/graph.h"
#include "compressor/rebuild.h"
#include "compressor/tensor.h"
#include "compressor/weight_quantizer.h"
#include "compressor/weight_values.h"

namespace lathe {

enum class WeightRounding {
  // Each weight to its nearest level.
  kNearest,
  // By the layer's input Gram matrix: see gram_rounding.h.
  kSecondOrder,
};

enum class BiasCorrection {
  kNone,
  // The bias takes back what the rounding of the weights adds to the mean
  // output, by the mean input of the original: b += (W - Q) E[x] (Nagel et al.,
  // "Data-Free Quantization Through Weight Equalization and Bias Correction",
  // 2019, eq. 17; the mean is measured instead of derived from batch norms).
  kAnalytic,
  // The bias brings the mean output back to the original's, with the inputs of
  // the quantised network (ibid., section 4.2, empirical).
  kEmpirical,
};

struct WeightOptions {
  ScaleMethod scale_method = ScaleMethod::kMse;
  ScaleScope scale_scope = ScaleScope::kPerChannel;
  WeightGrids grids = WeightGrids::kNarrow;
  WeightRounding rounding = WeightRounding::kSecondOrder;
  BiasCorrection bias = BiasCorrection::kEmpirical;
  // How far weights are moved, before they are rounded, towards where they give
  // the original's outputs from the quantised network's inputs, by ridge
  // regression as after pruning (rebuild.h). 0: not at all; 1: all the way,
  // which fits the rounding of coarse activations, too, and the few samples.
  // Half the way leaves less divergence (experiments/compression/README.md).
  double refit_share = 0.5;
  // Layers of 8-bit weights are refit where their input is at least so far from
  // the original's, as a share of its mean square. Below it, where 8-bit grids
  // alone changed it, a refit fits noise, which such fine weights keep
  // (experiments/compression/README.md).
  double least_refit_error = 2e-3;
  // As a share of the Gram matrix's mean diagonal.
  double ridge = 1e-2;
  // Of all layers but LSTM and GRU, before anything else is done to them.
  Sparsity sparsity;
  // Values that a layer without integer weights may take; 0: any.
  int clusters = 0;

  // Whether layers change that get no integer weights.
  bool ChangesFloats() const { return !sparsity.IsNone() || clusters > 0; }

  // Whether samples are looked at.
  bool NeedsSamples() const {
    return rounding != WeightRounding::kNearest ||
           bias != BiasCorrection::kNone || refit_share > 0;
  }
};

// Each weight to its nearest level, and nothing else.
WeightOptions NearestWeights();

// The "bits" of a layer that gets no integer weights, but zeros or a codebook.
constexpr int kFloatBits = 32;

struct QuantizedLayer {
  QuantizedWeights weights;
  // Set for kFloatBits, and then `weights` is empty.
  std::optional<Tensor> floats;
  // [out_channels]; none where the layer has none, and gets none.
  std::optional<Tensor> bias;
};

// What a layer sees and should make.
struct LayerSamples {
  // Of the quantised network, [samples, ...].
  const Tensor& input;
  // Of the original network.
  const Tensor& original_input;
  // As RebuildLayer wants it.
  const Tensor& target;
  // Of the output positions that are looked at.
  uint64_t seed = 0;
};

// `node` as in RebuildLayer, with the float weights and bias `layer`, whose
// output channels lie along `weight_axis`. A Conv or Gemm whose bias is to be
// corrected gets one if it had none. Options for zeros and clusters hold for
// every layer. Without `samples`, and for layers that the
// regression does not take (a bias by sample, factors of 0, more than 4096
// inputs of one output, weights of another rank than 2 for Gemm and MatMul),
// weights go to their nearest level and the bias stays. Zero weights become
// levels 0 at scale 1 unless the refit moves them; channels whose input is
// constant or zero count as any other.
//
// Errors:
//   InvalidArgument - `bits` is neither in [2, 8] nor kFloatBits, a weight is
//   not finite,
//     attributes that do not fit the shapes.
absl::StatusOr<QuantizedLayer> QuantizeLayer(
    const Node& node, const LayerWeights& layer, int weight_axis, int bits,
    const std::optional<LayerSamples>& samples, const WeightOptions& options);

}  // namespace lathe

#endif  // LATHE_COMPRESSOR_QUANTIZE_LAYER_H_

// A layer as independent linear problems. Private to the compressor.
#ifndef LATHE_COMPRESSOR_LAYER_PROBLEMS_H_
#define LATHE_COMPRESSOR_LAYER_PROBLEMS_H_

#include <cstdint>
#include <optional>
#include <vector>

#include "compressor/graph.h"
#include "compressor/tensor.h"

namespace lathe {

// Input channels [first_in, first_in + ins) explain output channels
// [first_out, first_out + outs).
struct LayerProblem {
  int64_t first_in = 0;
  int64_t ins = 0;
  int64_t first_out = 0;
  int64_t outs = 0;
};

// The problems of a Conv (one for each of its groups), Gemm or MatMul with
// `ins` and `outs` channels.
inline std::vector<LayerProblem> SplitLayer(const Node& node, int64_t ins,
                                            int64_t outs) {
  const int64_t count =
      node.op_type == "Conv" ? node.IntOr("group", 1) : int64_t{1};
  std::vector<LayerProblem> problems;
  for (int64_t g = 0; g < count; ++g) {
    problems.push_back(
        {g * (ins / count), ins / count, g * (outs / count), outs / count});
  }
  return problems;
}

// How the node scales what its weights and bias give.
struct LayerFactors {
  float weights = 1;
  float bias = 1;
};

inline LayerFactors FactorsOf(const Node& node) {
  if (node.op_type != "Gemm") return {};
  return {node.FloatOr("alpha", 1), node.FloatOr("beta", 1)};
}

// `bias` as one number per output, 0 without bias; none when it has another
// form.
inline std::optional<std::vector<float>> BiasVector(
    const std::optional<Tensor>& bias, int64_t outs) {
  if (!bias) return std::vector<float>(outs);
  const absl::Span<const float> values = bias->values<float>();
  if (bias->size() == outs && bias->shape().back() == outs) {
    return std::vector<float>(values.begin(), values.end());
  }
  if (bias->size() == 1) return std::vector<float>(outs, values[0]);
  return std::nullopt;
}

}  // namespace lathe

#endif  // LATHE_COMPRESSOR_LAYER_PROBLEMS_H_

// The weights of a layer as a matrix. Private to the compressor.
#ifndef LATHE_COMPRESSOR_WEIGHT_MATRIX_H_
#define LATHE_COMPRESSOR_WEIGHT_MATRIX_H_

#include <algorithm>
#include <cstdint>
#include <vector>

#include "compressor/graph.h"
#include "compressor/tensor.h"

namespace lathe {

// Weights of a Conv, Gemm or MatMul as numbers under change: element (o, i) of
// output channel o and unknown i. Unknowns are in the order of
// LayerObservations::Inputs. Not thread-safe.
class WeightMatrix {
 public:
  WeightMatrix(const Node& node, const Tensor& weights)
      : values_(weights.values<float>().begin(),
                weights.values<float>().end()) {
    const Shape& shape = weights.shape();
    const bool is_out_first =
        node.op_type == "Conv" || node.IntOr("transB", 0) != 0;
    outs_ = is_out_first ? shape[0] : shape[1];
    unknowns_ = weights.size() / std::max<int64_t>(1, outs_);
    out_step_ = is_out_first ? unknowns_ : 1;
    unknown_step_ = is_out_first ? 1 : outs_;
  }

  int64_t outs() const { return outs_; }
  int64_t unknowns() const { return unknowns_; }
  float& at(int64_t out, int64_t unknown) {
    return values_[out * out_step_ + unknown * unknown_step_];
  }
  const std::vector<float>& values() const { return values_; }

 private:
  std::vector<float> values_;
  int64_t outs_ = 0;
  int64_t unknowns_ = 0;
  int64_t out_step_ = 0;
  int64_t unknown_step_ = 0;
};

}  // namespace lathe

#endif  // LATHE_COMPRESSOR_WEIGHT_MATRIX_H_

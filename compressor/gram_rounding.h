// Weights rounded so that the layer's outputs, not the weights, stay close.
//
// For a layer with inputs x the squared error of the outputs is
// (w - q)' H (w - q) with the Gram matrix H of x, and q = scale * level. The
// weights are rounded one after the other, each after it was moved to where it
// makes good the errors of those before it. In the triangular factor of H that
// is one back substitution, which gives the levels of GPTQ (Frantar et al.,
// "GPTQ: Accurate Post-Training Quantization for Generative Pre-trained
// Transformers", 2022, eq. 2 and 3, with its activation order) without the
// inverse of H: see Chen et al., "The Geometry of LLM Quantization: GPTQ as
// Babai's Nearest Plane Algorithm", 2025. The levels are then improved one by
// one (coordinate descent; Behdin et al., "QuantEase", 2023) in turn with the
// scale, whose best value for given levels is (q' H w) / (q' H q) in units of
// the scale; no step increases the error.
#ifndef LATHE_COMPRESSOR_GRAM_ROUNDING_H_
#define LATHE_COMPRESSOR_GRAM_ROUNDING_H_

#include <Eigen/Core>
#include <cstdint>
#include <vector>

#include "absl/types/span.h"
#include "compressor/weight_quantizer.h"

namespace lathe {

struct RoundedChannel {
  float scale = 1;
  std::vector<int8_t> levels;
  // (w - q)' H (w - q).
  double error = 0;
};

// Immutable.
class GramRounding {
 public:
  // `gram` is symmetric, [inputs, inputs]; `damping` times its mean diagonal is
  // added to the diagonal. A matrix that is not positive definite even so
  // counts as the identity: weights are rounded to the nearest level.
  //
  // REQUIRES: damping > 0.
  GramRounding(const Eigen::MatrixXd& gram, double damping);

  // Levels of `grid` for `weights` [inputs]. Where `fits_scale`, scales near
  // the grid's are tried and fitted too; else the result has exactly it. Inputs
  // in `is_zero` (empty: none) get level 0, and the others make that good.
  // Halves round to even. Equal arguments give equal bits.
  //
  // REQUIRES: the scale is positive and normal; -127 <= least <= 0 <= most <=
  // 127.
  RoundedChannel Round(const Eigen::VectorXf& weights, const WeightGrid& grid,
                       bool fits_scale,
                       const std::vector<bool>& is_zero = {}) const;

  // `weights` without a grid: 0 where `is_zero` (empty: nowhere) says so, of
  // the ascending `codebook` (empty: any number) elsewhere, one after the other
  // as in Round (Frantar and Alistarh, "SparseGPT", 2023, with a given mask),
  // then improved one by one. The error is at most that of the nearest values.
  Eigen::VectorXf Fit(const Eigen::VectorXf& weights,
                      const std::vector<bool>& is_zero,
                      absl::Span<const float> codebook) const;

 private:
  struct Attempt {
    float scale = 1;
    Eigen::VectorXf levels;
    double error = 0;
  };

  // Back substitution.
  Attempt Substitute(const Eigen::VectorXf& weights, const WeightGrid& grid,
                     const std::vector<bool>& is_zero) const;
  // Back substitution of Fit.
  Eigen::VectorXf SubstituteFloats(const Eigen::VectorXf& weights,
                                   const std::vector<bool>& is_zero,
                                   absl::Span<const float> codebook) const;
  // Coordinate descent in turn with the scale.
  void Improve(const Eigen::VectorXf& weights, const WeightGrid& grid,
               bool fits_scale, const std::vector<bool>& is_zero,
               Attempt* attempt) const;
  // One sweep over the levels; `pull` is H (w - q). Whether a level changed.
  bool Descend(const Eigen::VectorXf& weights, const WeightGrid& grid,
               const std::vector<bool>& is_zero, Attempt* attempt,
               Eigen::VectorXf* pull) const;

  Eigen::MatrixXf gram_;  // Damped.
  // Input order_[i] is row i of the factor; the last is rounded first.
  std::vector<int> order_;
  Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>
      factor_;  // Upper triangular, factor' * factor = permuted gram.
};

}  // namespace lathe

#endif  // LATHE_COMPRESSOR_GRAM_ROUNDING_H_

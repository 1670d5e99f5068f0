#include "compressor/gram_rounding.h"

#include <Eigen/Cholesky>
#include <algorithm>
#include <cmath>
#include <numeric>
#include <optional>
#include <utility>

#include "compressor/weight_values.h"

namespace lathe {
namespace {

// Scales tried, as shares of the given one. Below 4 bits the best scale for
// the outputs may be far from the best for the weights.
constexpr float kFactors[] = {0.85f, 0.7f, 1.15f, 1.3f};
// From this many levels on the scale matters little, and sweeps change nothing.
constexpr int kFineLevels = 31;
// Turns of descent and fit: the error changes by less than 1 % after these.
constexpr int kTurns = 4;
constexpr float kLeastScale = 1e-30f;
// Inputs up to which floats are swept: a sweep over all channels takes a second
// with more.
constexpr Eigen::Index kMostSweptInputs = 1024;

float RoundHalfEven(float x) {
  constexpr float kShift = 12582912.0f;  // 1.5 * 2^23
  return (x + kShift) - kShift;
}

float Level(float x, const WeightGrid& grid) {
  return RoundHalfEven(std::min(std::max(x, static_cast<float>(grid.least)),
                                static_cast<float>(grid.most)));
}

bool IsZero(const std::vector<bool>& is_zero, Eigen::Index i) {
  return !is_zero.empty() && is_zero[i];
}

// Of an empty codebook `x` itself.
float NearestValue(absl::Span<const float> codebook, float x) {
  return codebook.empty() ? x : NearestCode(codebook, x);
}

}  // namespace

GramRounding::GramRounding(const Eigen::MatrixXd& gram, double damping)
    : order_(gram.rows()) {
  const Eigen::Index inputs = gram.rows();
  Eigen::MatrixXd damped = gram;
  const double mean = inputs > 0 ? gram.trace() / inputs : 0;
  damped.diagonal().array() += damping * mean;
  std::iota(order_.begin(), order_.end(), 0);
  std::stable_sort(order_.begin(), order_.end(), [&damped](int a, int b) {
    return damped(a, a) < damped(b, b);
  });
  Eigen::MatrixXd permuted(inputs, inputs);
  for (Eigen::Index c = 0; c < inputs; ++c) {
    for (Eigen::Index r = 0; r < inputs; ++r) {
      permuted(r, c) = damped(order_[r], order_[c]);
    }
  }
  const Eigen::LLT<Eigen::MatrixXd> llt(permuted);
  const bool is_definite =
      mean > 0 && std::isfinite(mean) && llt.info() == Eigen::Success;
  if (is_definite) {
    gram_ = damped.cast<float>();
    factor_ = llt.matrixU().toDenseMatrix().cast<float>();
  } else {
    gram_ = Eigen::MatrixXf::Identity(inputs, inputs);
    factor_ = gram_;
  }
}

GramRounding::Attempt GramRounding::Substitute(
    const Eigen::VectorXf& weights, const WeightGrid& grid,
    const std::vector<bool>& is_zero) const {
  const Eigen::Index inputs = weights.size();
  const float scale = grid.scale;
  const float inverse = 1 / scale;
  Attempt attempt;
  attempt.scale = scale;
  attempt.levels.resize(inputs);
  Eigen::VectorXf errors(inputs);  // w - q, in the order of the factor.
  for (Eigen::Index i = inputs; i-- > 0;) {
    const Eigen::Index later = inputs - i - 1;
    const float owed = factor_.row(i).tail(later).dot(errors.tail(later));
    const float weight = weights(order_[i]);
    const float level =
        IsZero(is_zero, order_[i])
            ? 0
            : Level((weight + owed / factor_(i, i)) * inverse, grid);
    attempt.levels(order_[i]) = level;
    errors(i) = weight - scale * level;
    const double residual = owed + factor_(i, i) * errors(i);
    attempt.error += residual * residual;
  }
  return attempt;
}

Eigen::VectorXf GramRounding::SubstituteFloats(
    const Eigen::VectorXf& weights, const std::vector<bool>& is_zero,
    absl::Span<const float> codebook) const {
  const Eigen::Index inputs = weights.size();
  Eigen::VectorXf fitted(inputs);
  Eigen::VectorXf errors(inputs);  // In the order of the factor.
  for (Eigen::Index i = inputs; i-- > 0;) {
    const Eigen::Index later = inputs - i - 1;
    const float owed = factor_.row(i).tail(later).dot(errors.tail(later));
    const int input = order_[i];
    fitted(input) =
        IsZero(is_zero, input)
            ? 0
            : NearestValue(codebook, weights(input) + owed / factor_(i, i));
    errors(i) = weights(input) - fitted(input);
  }
  return fitted;
}

Eigen::VectorXf GramRounding::Fit(const Eigen::VectorXf& weights,
                                  const std::vector<bool>& is_zero,
                                  absl::Span<const float> codebook) const {
  const Eigen::Index inputs = weights.size();
  Eigen::VectorXf best = SubstituteFloats(weights, is_zero, codebook);
  Eigen::VectorXf pull = gram_ * (weights - best);
  Eigen::VectorXf nearest(inputs);
  for (Eigen::Index i = 0; i < inputs; ++i) {
    nearest(i) = IsZero(is_zero, i) ? 0 : NearestValue(codebook, weights(i));
  }
  const Eigen::VectorXf nearest_pull = gram_ * (weights - nearest);
  // Greedy substitution alone may end worse.
  if ((weights - nearest).dot(nearest_pull) < (weights - best).dot(pull)) {
    best = nearest;
    pull = nearest_pull;
  }
  for (int turn = 0; turn < kTurns && inputs <= kMostSweptInputs; ++turn) {
    for (Eigen::Index i = 0; i < inputs; ++i) {
      if (IsZero(is_zero, i)) continue;
      const float better =
          NearestValue(codebook, best(i) + pull(i) / gram_(i, i));
      if (better == best(i)) continue;
      pull -= (better - best(i)) * gram_.col(i);
      best(i) = better;
    }
  }
  return best;
}

bool GramRounding::Descend(const Eigen::VectorXf& weights,
                           const WeightGrid& grid,
                           const std::vector<bool>& is_zero, Attempt* attempt,
                           Eigen::VectorXf* pull) const {
  const float scale = attempt->scale;
  const float inverse = 1 / scale;
  bool is_changed = false;
  for (Eigen::Index i = 0; i < weights.size(); ++i) {
    if (IsZero(is_zero, i)) continue;
    float& level = attempt->levels(i);
    const float wanted = scale * level + (*pull)(i) / gram_(i, i);
    const float better = Level(wanted * inverse, grid);
    if (better == level) continue;
    *pull -= (scale * (better - level)) * gram_.col(i);
    level = better;
    is_changed = true;
  }
  return is_changed;
}

void GramRounding::Improve(const Eigen::VectorXf& weights,
                           const WeightGrid& grid, bool fits_scale,
                           const std::vector<bool>& is_zero,
                           Attempt* attempt) const {
  const Eigen::VectorXf target = gram_ * weights;
  Eigen::VectorXf product = gram_ * attempt->levels;
  for (int turn = 0; turn < kTurns; ++turn) {
    if (fits_scale) {
      const double squares = attempt->levels.dot(product);
      const double fitted =
          squares > 0 ? attempt->levels.dot(target) / squares : 0;
      if (fitted > kLeastScale) attempt->scale = static_cast<float>(fitted);
    }
    Eigen::VectorXf pull = target - attempt->scale * product;
    const bool is_changed = Descend(weights, grid, is_zero, attempt, &pull);
    attempt->error =
        std::max(0.0f, (weights - attempt->scale * attempt->levels).dot(pull));
    if (!is_changed) break;
    product = (target - pull) / attempt->scale;
  }
}

RoundedChannel GramRounding::Round(const Eigen::VectorXf& weights,
                                   const WeightGrid& grid, bool fits_scale,
                                   const std::vector<bool>& is_zero) const {
  Attempt best = Substitute(weights, grid, is_zero);
  if (grid.most - grid.least < 2 * kFineLevels) {
    std::optional<Attempt> fitted;
    for (const float factor : kFactors) {
      if (!fits_scale) break;
      Attempt attempt = Substitute(
          weights, {grid.scale * factor, grid.least, grid.most}, is_zero);
      const double least = fitted ? fitted->error : best.error;
      if (attempt.error < least) fitted = std::move(attempt);
    }
    // Of two starts the better one need not end better.
    Improve(weights, grid, fits_scale, is_zero, &best);
    if (fitted) {
      Improve(weights, grid, fits_scale, is_zero, &*fitted);
      if (fitted->error < best.error) best = *std::move(fitted);
    }
  }
  RoundedChannel rounded;
  rounded.scale = best.scale;
  rounded.error = best.error;
  for (Eigen::Index i = 0; i < best.levels.size(); ++i) {
    rounded.levels.push_back(static_cast<int8_t>(best.levels(i)));
  }
  return rounded;
}

}  // namespace lathe

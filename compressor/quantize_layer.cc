#include "compressor/quantize_layer.h"

#include <algorithm>
#include <cmath>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "compressor/gram_rounding.h"
#include "compressor/layer_observations.h"
#include "compressor/layer_problems.h"
#include "compressor/regression_rows.h"
#include "compressor/ridge.h"
#include "compressor/weight_matrix.h"

namespace lathe {
namespace {

// Largest Gram matrix: 128 MiB.
constexpr int64_t kMostUnknowns = 4096;
// Most multiplications for solving, and for rounding, with it: some seconds.
constexpr double kMostProducts = 8e9;
// Largest regression matrix of a layer that is beyond both: 64 MiB.
constexpr int64_t kMostElements = int64_t{1} << 24;

// Whether a layer is too large for its Gram matrix: its weights go to the
// nearest level, and only its bias is corrected.
bool IsLarge(const WeightMatrix& weights) {
  const double unknowns = static_cast<double>(weights.unknowns());
  return weights.unknowns() > kMostUnknowns ||
         unknowns * unknowns * static_cast<double>(weights.outs()) >
             kMostProducts;
}

// Which values the weights may take besides a grid.
struct ValueChoice {
  std::vector<bool> mask;  // [outs, unknowns]; empty: no zeros.
  std::vector<float> codebook;
  int64_t unknowns = 0;

  // Of one output; empty: none.
  std::vector<bool> ZerosOf(int64_t out) const {
    if (mask.empty()) return {};
    return {mask.begin() + out * unknowns, mask.begin() + (out + 1) * unknowns};
  }
  float Nearest(float weight, int64_t out, int64_t unknown) const {
    if (!mask.empty() && mask[out * unknowns + unknown]) return 0;
    return codebook.empty() ? weight : NearestCode(codebook, weight);
  }
};

ValueChoice ChooseValues(WeightMatrix weights, int bits,
                         const WeightOptions& options) {
  ValueChoice choice;
  choice.unknowns = weights.unknowns();
  const bool has_codebook = bits == kFloatBits && options.clusters > 0;
  if (options.sparsity.IsNone() && !has_codebook) return choice;
  std::vector<float> rows;
  for (int64_t o = 0; o < weights.outs(); ++o) {
    for (int64_t u = 0; u < choice.unknowns; ++u) {
      rows.push_back(weights.at(o, u));
    }
  }
  if (!options.sparsity.IsNone()) {
    choice.mask = ZeroMask(rows, choice.unknowns, options.sparsity);
  }
  if (!has_codebook) return choice;
  // Zeros are one of the values.
  std::vector<float> left;
  for (size_t i = 0; i < rows.size(); ++i) {
    if (choice.mask.empty() || !choice.mask[i]) left.push_back(rows[i]);
  }
  const int codes = options.clusters - (choice.mask.empty() ? 0 : 1);
  choice.codebook = MakeCodebook(std::move(left), std::max(1, codes));
  return choice;
}

// How far the layer's input is from the original's, as a share of the
// original's mean square.
double InputError(const LayerSamples& samples) {
  const auto array = [](const Tensor& tensor) {
    return Eigen::Map<const Eigen::ArrayXf>(tensor.values<float>().data(),
                                            tensor.size())
        .cast<double>();
  };
  const auto original = array(samples.original_input);
  return (array(samples.input) - original).square().sum() /
         original.square().sum();
}

// The float layer and the quantised one in the making.
class LayerQuantizer {
 public:
  LayerQuantizer(const Node& node, const LayerWeights& layer, int bits,
                 const LayerSamples& samples, const WeightOptions& options)
      : node_(node),
        layer_(layer),
        bits_(bits),
        samples_(samples),
        options_(options),
        factors_(FactorsOf(node)),
        weights_(node, layer.weights),
        is_large_(IsLarge(weights_)),
        is_refit_(IsRefit()),
        levels_(node,
                Tensor::Of<float>(layer.weights.shape(),
                                  std::vector<float>(layer.weights.size()))),
        grids_(weights_.outs()),
        choice_(ChooseValues(weights_, bits, options)) {}

  // False for a layer that the regression does not take.
  bool Takes() {
    bias_ = BiasVector(layer_.bias, weights_.outs());
    const bool is_plain =
        node_.op_type == "Conv" || layer_.weights.shape().size() == 2;
    return is_plain && bias_ && factors_.weights != 0 && factors_.bias != 0 &&
           layer_.weights.size() > 0 && samples_.input.size() > 0;
  }

  absl::StatusOr<QuantizedLayer> Run() {
    LATHE_ASSIGN_OR_RETURN(const LayerObservations observations,
                           LayerObservations::Create(
                               node_, layer_.weights.shape(),
                               samples_.input.shape(), Rows(), samples_.seed));
    if (bits_ != kFloatBits && options_.scale_scope == ScaleScope::kPerTensor) {
      LATHE_ASSIGN_OR_RETURN(
          const WeightGrid grid,
          ChooseWeightGrid(layer_.weights.values<float>(), bits_,
                           options_.scale_method, options_.grids));
      std::fill(grids_.begin(), grids_.end(), grid);
    }
    const Shape& input = samples_.input.shape();
    const int64_t ins = node_.op_type == "Conv" ? input[1] : input.back();
    for (const LayerProblem& problem :
         SplitLayer(node_, ins, weights_.outs())) {
      LATHE_RETURN_IF_ERROR(Solve(problem, observations));
    }
    return Result();
  }

 private:
  bool IsRefit() const {
    if (options_.refit_share == 0 || is_large_) return false;
    return bits_ != 8 || InputError(samples_) >= options_.least_refit_error;
  }

  bool HasBias() const { return node_.op_type != "MatMul"; }

  int64_t Rows() const {
    return is_large_
               ? std::max<int64_t>(1, kMostElements / weights_.unknowns())
               : RoundingRows(weights_.unknowns(), samples_.input.shape()[0]);
  }

  bool IsSecondOrder() const {
    return options_.rounding == WeightRounding::kSecondOrder && !is_large_;
  }

  // About the means where the bias takes a shift of them back. Of a large layer
  // the means alone.
  Moments TakeMoments(Observations x, Observations y) const {
    if (is_large_) {
      Moments means;
      means.x_means = x.cast<double>().colwise().mean();
      means.y_means = y.cast<double>().colwise().mean();
      return means;
    }
    Moments moments =
        MomentsOf(std::move(x), std::move(y),
                  HasBias() && options_.bias != BiasCorrection::kNone);
    moments.gram =
        Eigen::MatrixXd(moments.gram.selfadjointView<Eigen::Lower>());
    return moments;
  }

  absl::Status Solve(const LayerProblem& problem,
                     const LayerObservations& observations) {
    Observations x =
        observations.Inputs(samples_.input, problem.first_in, problem.ins);
    Observations y =
        observations.Outputs(samples_.target, problem.first_out, problem.outs);
    for (int64_t o = 0; o < problem.outs; ++o) {
      y.col(o).array() -= factors_.bias * (*bias_)[problem.first_out + o];
    }
    y /= factors_.weights;
    const int64_t unknowns = x.cols();
    Moments moments = TakeMoments(std::move(x), std::move(y));
    Eigen::MatrixXd original(unknowns, problem.outs);
    for (int64_t o = 0; o < problem.outs; ++o) {
      for (Eigen::Index i = 0; i < original.rows(); ++i) {
        original(i, o) = weights_.at(problem.first_out + o, i);
      }
    }
    Eigen::MatrixXd wanted = original;
    if (is_refit_) {
      moments.cross -= moments.gram * original;
      const Eigen::MatrixXd change = SolveMoments(moments, options_.ridge);
      if (change.allFinite()) wanted += options_.refit_share * change;
    }
    LATHE_ASSIGN_OR_RETURN(const Eigen::MatrixXd rounded,
                           Round(problem, moments.gram, wanted));
    CorrectBias(problem, observations, moments, original, rounded);
    return absl::OkStatus();
  }

  // Sets levels and scales; returns what they stand for.
  absl::StatusOr<Eigen::MatrixXd> Round(const LayerProblem& problem,
                                        const Eigen::MatrixXd& gram,
                                        const Eigen::MatrixXd& wanted) {
    const bool is_second_order = IsSecondOrder();
    const GramRounding rounding(
        is_second_order ? gram : Eigen::MatrixXd::Zero(1, 1), options_.ridge);
    if (bits_ == kFloatBits) {
      return Fit(problem, is_second_order, rounding, wanted);
    }
    Eigen::MatrixXd rounded(wanted.rows(), wanted.cols());
    const bool is_per_channel = options_.scale_scope == ScaleScope::kPerChannel;
    for (int64_t o = 0; o < problem.outs; ++o) {
      const int64_t out = problem.first_out + o;
      const Eigen::VectorXf weights = wanted.col(o).cast<float>();
      if (is_per_channel) {
        LATHE_ASSIGN_OR_RETURN(
            grids_[out],
            ChooseWeightGrid(
                {weights.data(), static_cast<size_t>(weights.size())}, bits_,
                options_.scale_method, options_.grids));
      }
      const std::vector<bool> is_zero = choice_.ZerosOf(out);
      if (is_second_order) {
        const RoundedChannel channel =
            rounding.Round(weights, grids_[out],
                           /*fits_scale=*/is_per_channel, is_zero);
        grids_[out].scale = channel.scale;
        for (Eigen::Index i = 0; i < wanted.rows(); ++i) {
          levels_.at(out, i) = channel.levels[i];
        }
      } else {
        for (Eigen::Index i = 0; i < wanted.rows(); ++i) {
          const bool is_lost = !is_zero.empty() && is_zero[i];
          levels_.at(out, i) =
              is_lost ? 0 : NearestLevel(weights(i), grids_[out]);
        }
      }
      for (Eigen::Index i = 0; i < wanted.rows(); ++i) {
        rounded(i, o) = grids_[out].scale * levels_.at(out, i);
      }
    }
    return rounded;
  }

  // The same without a grid: sets the weights in levels_.
  Eigen::MatrixXd Fit(const LayerProblem& problem, bool is_second_order,
                      const GramRounding& rounding,
                      const Eigen::MatrixXd& wanted) {
    Eigen::MatrixXd fitted(wanted.rows(), wanted.cols());
    for (int64_t o = 0; o < problem.outs; ++o) {
      const int64_t out = problem.first_out + o;
      const Eigen::VectorXf weights = wanted.col(o).cast<float>();
      const std::vector<bool> is_zero = choice_.ZerosOf(out);
      const Eigen::VectorXf values =
          is_second_order ? rounding.Fit(weights, is_zero, choice_.codebook)
                          : Eigen::VectorXf();
      for (Eigen::Index i = 0; i < wanted.rows(); ++i) {
        const float value =
            is_second_order ? values(i) : choice_.Nearest(weights(i), out, i);
        levels_.at(out, i) = value;
        fitted(i, o) = value;
      }
    }
    return fitted;
  }

  void CorrectBias(const LayerProblem& problem,
                   const LayerObservations& observations,
                   const Moments& moments, const Eigen::MatrixXd& original,
                   const Eigen::MatrixXd& rounded) {
    if (!HasBias() || options_.bias == BiasCorrection::kNone) return;
    Eigen::VectorXd shift =
        moments.y_means - rounded.transpose() * moments.x_means;
    if (options_.bias == BiasCorrection::kAnalytic) {
      const Observations x = observations.Inputs(samples_.original_input,
                                                 problem.first_in, problem.ins);
      const Eigen::VectorXd means =
          x.colwise().mean().transpose().cast<double>();
      shift = (original - rounded).transpose() * means;
    }
    for (int64_t o = 0; o < problem.outs; ++o) {
      const float change =
          static_cast<float>(shift(o) * factors_.weights / factors_.bias);
      if (std::isfinite(change)) (*bias_)[problem.first_out + o] += change;
    }
  }

  QuantizedLayer Result() const {
    QuantizedLayer result;
    const bool is_bias_set =
        HasBias() && options_.bias != BiasCorrection::kNone;
    result.bias = is_bias_set ? Tensor::Of<float>({weights_.outs()}, *bias_)
                              : layer_.bias;
    if (bits_ == kFloatBits) {
      result.floats =
          Tensor::Of<float>(layer_.weights.shape(), levels_.values());
      return result;
    }
    result.weights.bits = bits_;
    const bool is_asymmetric = IsAsymmetric(options_.grids, bits_);
    const bool is_per_tensor = options_.scale_scope == ScaleScope::kPerTensor;
    for (const WeightGrid& grid : grids_) {
      result.weights.scales.push_back(grid.scale);
      if (is_asymmetric) {
        result.weights.zero_points.push_back(ZeroPointOf(grid, bits_));
      }
      if (is_per_tensor) break;
    }
    DropZeroPoints(&result.weights);
    for (const float level : levels_.values()) {
      result.weights.levels.push_back(static_cast<int8_t>(level));
    }
    return result;
  }

  const Node& node_;
  const LayerWeights& layer_;
  const int bits_;
  const LayerSamples& samples_;
  const WeightOptions& options_;
  const LayerFactors factors_;
  WeightMatrix weights_;
  const bool is_large_;
  const bool is_refit_;
  WeightMatrix levels_;
  std::vector<WeightGrid> grids_;  // By output.
  const ValueChoice choice_;
  std::optional<std::vector<float>> bias_;
};

// Without samples. Weights that are no matrix stay dense.
absl::StatusOr<QuantizedLayer> Nearest(const Node& node,
                                       const LayerWeights& layer,
                                       int weight_axis, int bits,
                                       const WeightOptions& options) {
  Tensor weights = layer.weights;
  const bool is_matrix =
      node.op_type == "Conv" || layer.weights.shape().size() == 2;
  if (is_matrix && (options.ChangesFloats() || bits == kFloatBits)) {
    WeightMatrix matrix(node, layer.weights);
    const ValueChoice choice = ChooseValues(matrix, bits, options);
    for (int64_t o = 0; o < matrix.outs(); ++o) {
      for (int64_t u = 0; u < matrix.unknowns(); ++u) {
        matrix.at(o, u) = choice.Nearest(matrix.at(o, u), o, u);
      }
    }
    weights = Tensor::Of<float>(layer.weights.shape(), matrix.values());
  }
  QuantizedLayer result;
  result.bias = layer.bias;
  if (bits == kFloatBits) {
    result.floats = std::move(weights);
    return result;
  }
  LATHE_ASSIGN_OR_RETURN(
      result.weights,
      QuantizeWeights(weights, weight_axis, bits, options.scale_method,
                      options.scale_scope, options.grids));
  return result;
}

}  // namespace

WeightOptions NearestWeights() {
  WeightOptions options;
  options.rounding = WeightRounding::kNearest;
  options.bias = BiasCorrection::kNone;
  options.refit_share = 0;
  return options;
}

absl::StatusOr<QuantizedLayer> QuantizeLayer(
    const Node& node, const LayerWeights& layer, int weight_axis, int bits,
    const std::optional<LayerSamples>& samples, const WeightOptions& options) {
  if (bits != kFloatBits && (bits < 2 || bits > 8)) {
    return absl::InvalidArgumentError(
        absl::StrCat("bits = ", bits, ", not in [2, 8]"));
  }
  const absl::Span<const float> values = layer.weights.values<float>();
  if (!std::all_of(values.begin(), values.end(),
                   [](float weight) { return std::isfinite(weight); })) {
    return absl::InvalidArgumentError("a weight is not finite");
  }
  if (samples && options.NeedsSamples()) {
    LayerQuantizer quantizer(node, layer, bits, *samples, options);
    if (quantizer.Takes()) return quantizer.Run();
  }
  return Nearest(node, layer, weight_axis, bits, options);
}

}  // namespace lathe

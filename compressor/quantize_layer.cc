#include "compressor/quantize_layer.h"

#include <algorithm>
#include <cmath>
#include <utility>
#include <vector>

#include "base/status.h"
#include "compressor/gram_rounding.h"
#include "compressor/layer_observations.h"
#include "compressor/layer_problems.h"
#include "compressor/ridge.h"
#include "compressor/weight_matrix.h"

namespace lathe {
namespace {

// Positions looked at in each sample, at least, and rows for each unknown of an
// output.
constexpr int64_t kPositionsPerSample = 16;
constexpr int64_t kRowsPerUnknown = 6;
// Largest Gram matrix: 128 MiB.
constexpr int64_t kMostUnknowns = 4096;
// Most multiplications for a Gram matrix: about a second.
constexpr double kMostProducts = 8e9;

int64_t RowsFor(int64_t unknowns, int64_t samples) {
  const int64_t wanted =
      std::max(kPositionsPerSample * samples, kRowsPerUnknown * unknowns);
  const double affordable =
      kMostProducts / static_cast<double>(unknowns * unknowns);
  return std::min(wanted, static_cast<int64_t>(affordable));
}

// The float layer and the quantised one in the making.
class LayerQuantizer {
 public:
  LayerQuantizer(const Node& node, const LayerWeights& layer, int bits,
                 const LayerSamples& samples, const WeightOptions& options)
      : node_(node),
        layer_(layer),
        bits_(bits),
        most_((1 << (bits - 1)) - 1),
        samples_(samples),
        options_(options),
        factors_(FactorsOf(node)),
        weights_(node, layer.weights),
        levels_(node,
                Tensor::Of<float>(layer.weights.shape(),
                                  std::vector<float>(layer.weights.size()))),
        scales_(weights_.outs()) {}

  // False for a layer that the regression does not take.
  bool Takes() {
    bias_ = BiasVector(layer_.bias, weights_.outs());
    const bool is_plain =
        node_.op_type == "Conv" || layer_.weights.shape().size() == 2;
    return is_plain && bias_ && factors_.weights != 0 && factors_.bias != 0 &&
           layer_.weights.size() > 0 && samples_.input.size() > 0 &&
           weights_.unknowns() <= kMostUnknowns;
  }

  absl::StatusOr<QuantizedLayer> Run() {
    LATHE_ASSIGN_OR_RETURN(
        const LayerObservations observations,
        LayerObservations::Create(
            node_, layer_.weights.shape(), samples_.input.shape(),
            RowsFor(weights_.unknowns(), samples_.input.shape()[0]),
            samples_.seed));
    if (options_.scale_scope == ScaleScope::kPerTensor) {
      LATHE_ASSIGN_OR_RETURN(const float scale,
                             ChooseScale(layer_.weights.values<float>(), most_,
                                         options_.scale_method));
      std::fill(scales_.begin(), scales_.end(), scale);
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
  bool HasBias() const { return node_.op_type != "MatMul"; }

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
    // A shift of the mean is no error where the bias takes it back.
    Moments moments =
        MomentsOf(std::move(x), std::move(y),
                  HasBias() && options_.bias != BiasCorrection::kNone);
    moments.gram =
        Eigen::MatrixXd(moments.gram.selfadjointView<Eigen::Lower>());
    Eigen::MatrixXd original(moments.gram.rows(), problem.outs);
    for (int64_t o = 0; o < problem.outs; ++o) {
      for (Eigen::Index i = 0; i < original.rows(); ++i) {
        original(i, o) = weights_.at(problem.first_out + o, i);
      }
    }
    Eigen::MatrixXd wanted = original;
    if (options_.is_refit) {
      moments.cross -= moments.gram * original;
      const Eigen::MatrixXd change = SolveMoments(moments, options_.ridge);
      if (change.allFinite()) wanted += change;
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
    const bool is_second_order =
        options_.rounding == WeightRounding::kSecondOrder;
    const GramRounding rounding(
        is_second_order ? gram : Eigen::MatrixXd::Zero(1, 1), options_.ridge);
    Eigen::MatrixXd rounded(wanted.rows(), wanted.cols());
    const bool is_per_channel = options_.scale_scope == ScaleScope::kPerChannel;
    for (int64_t o = 0; o < problem.outs; ++o) {
      const int64_t out = problem.first_out + o;
      const Eigen::VectorXf weights = wanted.col(o).cast<float>();
      if (is_per_channel) {
        LATHE_ASSIGN_OR_RETURN(
            scales_[out],
            ChooseScale({weights.data(), static_cast<size_t>(weights.size())},
                        most_, options_.scale_method));
      }
      if (is_second_order) {
        const RoundedChannel channel =
            rounding.Round(weights, scales_[out], most_,
                           /*fits_scale=*/is_per_channel);
        scales_[out] = channel.scale;
        for (Eigen::Index i = 0; i < wanted.rows(); ++i) {
          levels_.at(out, i) = channel.levels[i];
        }
      } else {
        for (Eigen::Index i = 0; i < wanted.rows(); ++i) {
          levels_.at(out, i) = NearestLevel(weights(i), scales_[out], most_);
        }
      }
      for (Eigen::Index i = 0; i < wanted.rows(); ++i) {
        rounded(i, o) = scales_[out] * levels_.at(out, i);
      }
    }
    return rounded;
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
    result.weights.bits = bits_;
    result.weights.scales = scales_;
    if (options_.scale_scope == ScaleScope::kPerTensor) {
      result.weights.scales.resize(1);
    }
    for (const float level : levels_.values()) {
      result.weights.levels.push_back(static_cast<int8_t>(level));
    }
    const bool is_bias_set =
        HasBias() && options_.bias != BiasCorrection::kNone;
    result.bias = is_bias_set ? Tensor::Of<float>({weights_.outs()}, *bias_)
                              : layer_.bias;
    return result;
  }

  const Node& node_;
  const LayerWeights& layer_;
  const int bits_;
  const int most_;
  const LayerSamples& samples_;
  const WeightOptions& options_;
  const LayerFactors factors_;
  WeightMatrix weights_;
  WeightMatrix levels_;
  std::vector<float> scales_;
  std::optional<std::vector<float>> bias_;
};

}  // namespace

WeightOptions NearestWeights() {
  WeightOptions options;
  options.rounding = WeightRounding::kNearest;
  options.bias = BiasCorrection::kNone;
  options.is_refit = false;
  return options;
}

absl::StatusOr<QuantizedLayer> QuantizeLayer(
    const Node& node, const LayerWeights& layer, int weight_axis, int bits,
    const std::optional<LayerSamples>& samples, const WeightOptions& options) {
  LATHE_ASSIGN_OR_RETURN(
      QuantizedWeights nearest,
      QuantizeWeights(layer.weights, weight_axis, bits, options.scale_method,
                      options.scale_scope));
  if (samples && options.NeedsSamples()) {
    LayerQuantizer quantizer(node, layer, bits, *samples, options);
    if (quantizer.Takes()) return quantizer.Run();
  }
  return QuantizedLayer{std::move(nearest), layer.bias};
}

}  // namespace lathe

#include "compressor/rebuild.h"

#include <algorithm>
#include <cmath>
#include <utility>
#include <vector>

#include "absl/types/span.h"
#include "base/status.h"
#include "compressor/layer_observations.h"
#include "compressor/layer_problems.h"
#include "compressor/regression_rows.h"
#include "compressor/ridge.h"
#include "compressor/weight_matrix.h"

namespace lathe {
namespace {

bool AreFinite(const std::vector<float>& values) {
  return std::all_of(values.begin(), values.end(),
                     [](float v) { return std::isfinite(v); });
}

// The intercept alone.
RidgeSolution Recentre(const Observations& residual) {
  RidgeSolution change;
  change.intercept = residual.colwise().mean().transpose().cast<double>();
  return change;
}

// Solves one problem and changes weights and bias by it.
void Solve(const LayerProblem& problem, const LayerObservations& observations,
           const Tensor& input, const Tensor& target,
           const LayerFactors& factors, const RebuildOptions& options,
           bool has_bias, WeightMatrix* weights, std::vector<float>* bias) {
  Observations x = observations.Inputs(input, problem.first_in, problem.ins);
  Observations residual =
      observations.Outputs(target, problem.first_out, problem.outs);
  Eigen::MatrixXf kept(x.cols(), problem.outs);
  for (int64_t o = 0; o < problem.outs; ++o) {
    for (int64_t i = 0; i < x.cols(); ++i) {
      kept(i, o) = factors.weights * weights->at(problem.first_out + o, i);
    }
    residual.col(o).array() -= factors.bias * (*bias)[problem.first_out + o];
  }
  residual.noalias() -= x * kept;
  const RidgeSolution change =
      options.method == RebuildMethod::kRecentre
          ? Recentre(residual)
          : SolveRidge(std::move(x), std::move(residual), options.ridge,
                       has_bias);
  for (int64_t o = 0; o < problem.outs; ++o) {
    for (int64_t i = 0; i < change.weights.rows(); ++i) {
      weights->at(problem.first_out + o, i) +=
          static_cast<float>(change.weights(i, o)) / factors.weights;
    }
    if (has_bias) {
      (*bias)[problem.first_out + o] +=
          static_cast<float>(change.intercept(o)) / factors.bias;
    }
  }
}

}  // namespace

absl::StatusOr<LayerWeights> RebuildLayer(const Node& node,
                                          const LayerWeights& kept,
                                          const Tensor& input,
                                          const Tensor& target,
                                          const RebuildOptions& options) {
  WeightMatrix weights(node, kept.weights);
  std::optional<std::vector<float>> bias =
      BiasVector(kept.bias, weights.outs());
  const LayerFactors factors = FactorsOf(node);
  if (!bias || factors.weights == 0 || factors.bias == 0 ||
      kept.weights.size() == 0 || input.size() == 0) {
    return kept;
  }
  LATHE_ASSIGN_OR_RETURN(
      const LayerObservations observations,
      LayerObservations::Create(node, kept.weights.shape(), input.shape(),
                                RebuildRows(weights.unknowns()), options.seed));
  const bool is_conv = node.op_type == "Conv";
  const bool has_bias = node.op_type != "MatMul";
  const int64_t ins = is_conv ? input.shape()[1] : input.shape().back();
  for (const LayerProblem& problem : SplitLayer(node, ins, weights.outs())) {
    Solve(problem, observations, input, target, factors, options, has_bias,
          &weights, &*bias);
  }
  if (!AreFinite(weights.values()) || !AreFinite(*bias)) return kept;
  LayerWeights rebuilt;
  rebuilt.weights = Tensor::Of<float>(kept.weights.shape(), weights.values());
  if (has_bias) rebuilt.bias = Tensor::Of<float>({weights.outs()}, *bias);
  return rebuilt;
}

}  // namespace lathe

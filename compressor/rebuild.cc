#include "compressor/rebuild.h"

#include <algorithm>
#include <cmath>
#include <utility>
#include <vector>

#include "absl/types/span.h"
#include "base/status.h"
#include "compressor/layer_observations.h"
#include "compressor/ridge.h"

namespace lathe {
namespace {

// Positions looked at in each sample, at least, and rows for each unknown of an
// output. Accuracy after pruning rises with both: on ResNet-20 with 128
// samples, twelve random plans keep a mean top-1 of 0.48 (of 0.93) with 10 and
// 4, 0.55 with 32 and 16, 0.56 with 64 and 16 or with 128 and 32.
constexpr int64_t kPositionsPerSample = 32;
constexpr int64_t kRowsPerUnknown = 16;
// Largest regression matrix: 64 MiB.
constexpr int64_t kMostElements = int64_t{1} << 24;
// Most multiplications for a Gram matrix: 0.5-0.75 s. Wide layers get fewer
// rows for it, and are held the closer to their surviving weights.
constexpr double kMostProducts = 8e9;

// How the node scales what its weights and bias give.
struct Factors {
  float weights = 1;
  float bias = 1;
};

Factors FactorsOf(const Node& node) {
  if (node.op_type != "Gemm") return {};
  return {node.FloatOr("alpha", 1), node.FloatOr("beta", 1)};
}

// One regression: input channels [first_in, first_in + ins) explain output
// channels [first_out, first_out + outs).
struct Problem {
  int64_t first_in = 0;
  int64_t ins = 0;
  int64_t first_out = 0;
  int64_t outs = 0;
};

// The layer's weights as numbers under change; element (o, i) of output channel
// o and unknown i.
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

bool IsDepthwise(const Node& node) { return node.IntOr("group", 1) > 1; }

std::vector<Problem> Problems(const Node& node, int64_t ins, int64_t outs) {
  if (!IsDepthwise(node)) return {{0, ins, 0, outs}};
  const int64_t multiplier = outs / node.IntOr("group", 1);
  std::vector<Problem> problems;
  for (int64_t c = 0; c < ins; ++c) {
    problems.push_back({c, 1, c * multiplier, multiplier});
  }
  return problems;
}

int64_t RowsFor(int64_t unknowns, int64_t samples) {
  const int64_t wanted =
      std::max(kPositionsPerSample * samples, kRowsPerUnknown * unknowns);
  // The Gram matrix takes rows * unknowns * min(rows, unknowns) products.
  const double per_unknown = kMostProducts / static_cast<double>(unknowns);
  const double affordable =
      std::max(std::min(per_unknown / static_cast<double>(unknowns), 1e9),
               std::min(std::sqrt(per_unknown), static_cast<double>(unknowns)));
  return std::min({wanted, static_cast<int64_t>(affordable),
                   std::max<int64_t>(1, kMostElements / unknowns)});
}

// `bias` as one number per output, 0 without bias; none when it has another
// form.
std::optional<std::vector<float>> BiasVector(const std::optional<Tensor>& bias,
                                             int64_t outs) {
  if (!bias) return std::vector<float>(outs);
  const absl::Span<const float> values = bias->values<float>();
  if (bias->size() == outs && bias->shape().back() == outs) {
    return std::vector<float>(values.begin(), values.end());
  }
  if (bias->size() == 1) return std::vector<float>(outs, values[0]);
  return std::nullopt;
}

bool AreFinite(const std::vector<float>& values) {
  return std::all_of(values.begin(), values.end(),
                     [](float v) { return std::isfinite(v); });
}

// Solves one problem and changes weights and bias by it.
void Solve(const Problem& problem, const LayerObservations& observations,
           const Tensor& input, const Tensor& target, const Factors& factors,
           double ridge, bool has_bias, WeightMatrix* weights,
           std::vector<float>* bias) {
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
      SolveRidge(std::move(x), std::move(residual), ridge, has_bias);
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
  const Factors factors = FactorsOf(node);
  if (!bias || factors.weights == 0 || factors.bias == 0 ||
      kept.weights.size() == 0 || input.size() == 0) {
    return kept;
  }
  LATHE_ASSIGN_OR_RETURN(
      const LayerObservations observations,
      LayerObservations::Create(node, kept.weights.shape(), input.shape(),
                                RowsFor(weights.unknowns(), input.shape()[0]),
                                options.seed));
  const bool is_conv = node.op_type == "Conv";
  const bool has_bias = node.op_type != "MatMul";
  const int64_t ins = is_conv ? input.shape()[1] : input.shape().back();
  for (const Problem& problem : Problems(node, ins, weights.outs())) {
    Solve(problem, observations, input, target, factors, options.ridge,
          has_bias, &weights, &*bias);
  }
  if (!AreFinite(weights.values()) || !AreFinite(*bias)) return kept;
  LayerWeights rebuilt;
  rebuilt.weights = Tensor::Of<float>(kept.weights.shape(), weights.values());
  if (has_bias) rebuilt.bias = Tensor::Of<float>({weights.outs()}, *bias);
  return rebuilt;
}

}  // namespace lathe

#include "compressor/low_rank.h"

#include <Eigen/Core>
#include <Eigen/Eigenvalues>
#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "compressor/draft.h"
#include "compressor/layer_weights.h"
#include "compressor/tensor.h"

namespace lathe {
namespace {

using RowMatrix =
    Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

struct Factors {
  RowMatrix first;   // [in, r]
  RowMatrix second;  // [r, out]
};

// None where two factors would not be smaller. The singular vectors of the
// shorter side are the eigenvectors of its Gram matrix; the others follow.
std::optional<Factors> Factor(const Eigen::MatrixXd& weights, double energy) {
  if (!weights.allFinite()) return std::nullopt;
  const bool is_wide = weights.cols() > weights.rows();
  const Eigen::MatrixXd gram =
      is_wide ? Eigen::MatrixXd(weights * weights.transpose())
              : Eigen::MatrixXd(weights.transpose() * weights);
  const Eigen::SelfAdjointEigenSolver<Eigen::MatrixXd> eigen(gram);
  // Squared singular values, the greatest first.
  const Eigen::VectorXd squares = eigen.eigenvalues().reverse().cwiseMax(0);
  const double wanted = energy * squares.sum();
  Eigen::Index rank = 0;
  double kept = 0;
  while (rank < squares.size() && (rank == 0 || kept < wanted)) {
    kept += squares(rank++);
  }
  const bool is_smaller = rank * (weights.rows() + weights.cols()) <
                          weights.rows() * weights.cols();
  if (!is_smaller) return std::nullopt;
  const Eigen::MatrixXd vectors =
      eigen.eigenvectors().rightCols(rank).rowwise().reverse();
  // Both factors get the root of the singular values, so that neither is
  // badly scaled.
  const Eigen::VectorXd roots = squares.head(rank).array().pow(0.25);
  const Eigen::VectorXd inverse =
      (roots.array() > 0).select(roots.array().inverse(), 0);
  if (is_wide) {
    return Factors{
        (vectors * roots.asDiagonal()).cast<float>(),
        (inverse.asDiagonal() * (vectors.transpose() * weights)).cast<float>()};
  }
  return Factors{((weights * vectors) * inverse.asDiagonal()).cast<float>(),
                 (roots.asDiagonal() * vectors.transpose()).cast<float>()};
}

Tensor ToTensor(const RowMatrix& matrix) {
  return Tensor::Of<float>(
      {matrix.rows(), matrix.cols()},
      std::vector<float>(matrix.data(), matrix.data() + matrix.size()));
}

bool IsLinear(const Draft& draft, const Node& node) {
  const bool is_product = node.op_type == "MatMul" || node.op_type == "Gemm";
  if (!node.domain.empty() || !is_product || node.precision != v1::F32 ||
      node.quantized_weights || node.IntOr("transA", 0) != 0 ||
      !draft.IsConstant(node.inputs[1]) || draft.IsConstant(node.inputs[0])) {
    return false;
  }
  const Tensor& weights = *draft.value(node.inputs[1]).constant;
  return weights.type() == DataType::kFloat32 && weights.shape().size() == 2 &&
         draft.UseCount(node.inputs[1]) == 1;
}

void FactorLayer(Draft& draft, int index, double energy) {
  const Node node = draft.node(index);
  const Tensor& tensor = *draft.value(node.inputs[1]).constant;
  const Eigen::Map<const RowMatrix> stored(
      tensor.values<float>().data(), tensor.shape()[0], tensor.shape()[1]);
  const bool is_turned = node.op_type == "Gemm" && node.IntOr("transB", 0) != 0;
  const Eigen::MatrixXd weights =
      is_turned ? Eigen::MatrixXd(stored.transpose().cast<double>())
                : Eigen::MatrixXd(stored.cast<double>());
  const std::optional<Factors> factors = Factor(weights, energy);
  if (!factors) return;
  Node first;
  first.name = absl::StrCat(node.name, "_low_rank");
  first.op_type = "MatMul";
  first.inputs = {node.inputs[0],
                  draft.AddConstant(absl::StrCat(first.name, "_weights"),
                                    ToTensor(factors->first))};
  first.outputs = {
      draft.AddValue(absl::StrCat(first.name, "_out"), DataType::kFloat32)};
  std::vector<ValueId> inputs = node.inputs;
  inputs[0] = first.outputs[0];
  draft.InsertBefore(index, std::move(first));
  draft.SetInputs(index, std::move(inputs));
  SetConstant(draft, index, 1, "_weights",
              ToTensor(is_turned ? RowMatrix(factors->second.transpose())
                                 : factors->second));
}

}  // namespace

absl::StatusOr<Graph> FactorLinearLayers(
    const Graph& graph, double energy,
    const std::set<std::string>& left_alone) {
  Draft draft(graph);
  const int nodes = draft.NodeCount();
  for (int i = 0; i < nodes; ++i) {
    const bool is_taken = IsLinear(draft, draft.node(i)) &&
                          left_alone.count(draft.node(i).name) == 0;
    if (is_taken) FactorLayer(draft, i, energy);
  }
  return std::move(draft).Finish();
}

}  // namespace lathe

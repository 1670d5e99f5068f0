#include "compressor/rebuild_recurrent.h"

#include <Eigen/Core>
#include <algorithm>
#include <cstdint>
#include <utility>

#include "compressor/recurrent_rows.h"
#include "compressor/regression_rows.h"
#include "compressor/ridge.h"

namespace lathe {
namespace {

using RowMatrix = Observations;

// Direction `d` of W or R.
Eigen::Map<const RowMatrix> Part(const Tensor& tensor, int64_t d) {
  const int64_t gates = tensor.shape()[1];
  const int64_t columns = tensor.shape()[2];
  return {tensor.values<float>().data() + d * gates * columns, gates, columns};
}

// One direction under change.
class DirectionRebuild {
 public:
  DirectionRebuild(const RecurrentRun& run, const RecurrentRows& rows,
                   const RebuildOptions& options, int64_t d)
      : run_(run), rows_(rows), options_(options), d_(d) {}

  // Rows [first, first + count) of the weights are the original's rows `from`.
  void Solve(const std::vector<int64_t>& from, int64_t first, RowMatrix* w,
             RowMatrix* r, Eigen::RowVectorXf* bias) const {
    const Observations states = rows_.LastStates(run_.states, d_);
    const Observations inputs = rows_.Inputs(run_.input);
    Observations x(inputs.rows(), inputs.cols() + run_.kept_units.size());
    x.leftCols(inputs.cols()) = inputs;
    for (size_t k = 0; k < run_.kept_units.size(); ++k) {
      x.col(inputs.cols() + k) = states.col(run_.kept_units[k]);
    }
    const int64_t count = static_cast<int64_t>(from.size());
    RowMatrix original_w(count, run_.original.w.shape()[2]);
    RowMatrix original_r(count, run_.original.r.shape()[2]);
    RowMatrix surviving(count, x.cols());
    for (int64_t i = 0; i < count; ++i) {
      original_w.row(i) = Part(run_.original.w, d_).row(from[i]);
      original_r.row(i) = Part(run_.original.r, d_).row(from[i]);
      surviving.row(i) << w->row(first + i), r->row(first + i);
    }
    Observations residual =
        rows_.Inputs(run_.original_input) * original_w.transpose();
    residual.noalias() += states * original_r.transpose();
    residual.noalias() -= x * surviving.transpose();
    RidgeSolution change;
    if (options_.method == RebuildMethod::kRecentre) {
      change.weights = Eigen::MatrixXd::Zero(x.cols(), count);
      change.intercept = residual.colwise().mean().transpose().cast<double>();
    } else {
      change = SolveRidge(std::move(x), std::move(residual), options_.ridge,
                          /*has_intercept=*/true);
    }
    if (!change.weights.allFinite() || !change.intercept.allFinite()) return;
    const RowMatrix moved = change.weights.transpose().cast<float>();
    w->middleRows(first, count) += moved.leftCols(w->cols());
    r->middleRows(first, count) += moved.rightCols(r->cols());
    bias->segment(first, count) += change.intercept.transpose().cast<float>();
  }

 private:
  const RecurrentRun& run_;
  const RecurrentRows& rows_;
  const RebuildOptions& options_;
  const int64_t d_;
};

Tensor Joined(const Shape& shape, const std::vector<RowMatrix>& parts) {
  std::vector<float> values;
  for (const RowMatrix& part : parts) {
    values.insert(values.end(), part.data(), part.data() + part.size());
  }
  return Tensor::Of<float>(shape, values);
}

}  // namespace

RecurrentWeights RebuildRecurrent(const Node& node,
                                  const RecurrentWeights& kept,
                                  const RecurrentRun& run,
                                  const RebuildOptions& options) {
  const int64_t units = static_cast<int64_t>(run.kept_units.size());
  const int64_t all_units = run.original.r.shape()[2];
  const int64_t gates = run.original.r.shape()[1] / all_units;
  const int64_t solved = node.op_type == "LSTM" ? gates : gates - 1;
  std::vector<int64_t> from;
  for (int64_t g = 0; g < solved; ++g) {
    for (const int64_t unit : run.kept_units) {
      from.push_back(g * all_units + unit);
    }
  }
  const RecurrentRows rows(node, run.input.shape(), run.original.r.shape(),
                           kLeastRegressionRows);
  std::vector<RowMatrix> ws;
  std::vector<RowMatrix> rs;
  std::vector<RowMatrix> bs;
  for (int64_t d = 0; d < rows.directions(); ++d) {
    RowMatrix w = Part(kept.w, d);
    RowMatrix r = Part(kept.r, d);
    // Wb, to which the intercepts go, and Rb.
    Eigen::RowVectorXf b = Eigen::RowVectorXf::Zero(2 * gates * units);
    if (kept.b) {
      b = Eigen::Map<const Eigen::RowVectorXf>(
          kept.b->values<float>().data() + d * b.size(), b.size());
    }
    DirectionRebuild(run, rows, options, d)
        .Solve(from, /*first=*/0, &w, &r, &b);
    ws.push_back(std::move(w));
    rs.push_back(std::move(r));
    bs.emplace_back(b);
  }
  return {Joined(kept.w.shape(), ws), Joined(kept.r.shape(), rs),
          Joined({rows.directions(), 2 * gates * units}, bs)};
}

}  // namespace lathe

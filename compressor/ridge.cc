#include "compressor/ridge.h"

#include <Eigen/Cholesky>
#include <algorithm>
#include <utility>

#include "base/blas_threads.h"

namespace lathe {
namespace {

// Rows whose products are summed in float32 before they go to double: float32
// is twice as fast, and sums this short lose nothing that the ridge would keep.
constexpr Eigen::Index kBlockRows = 256;

// The column means of `m`, which are subtracted from it.
Eigen::VectorXd TakeMeans(Observations* m) {
  Eigen::VectorXd sums = Eigen::VectorXd::Zero(m->cols());
  for (Eigen::Index r = 0; r < m->rows(); ++r) {
    sums += m->row(r).transpose().cast<double>();
  }
  Eigen::VectorXd means = sums / static_cast<double>(m->rows());
  m->rowwise() -= means.transpose().cast<float>();
  return means;
}

// Solves (a + lambda I) x = b for a symmetric positive semidefinite `a`, of
// which the lower half is given.
Eigen::MatrixXd SolveShifted(Eigen::MatrixXd a, double lambda,
                             const Eigen::MatrixXd& b) {
  a.diagonal().array() += lambda;
  const Eigen::LLT<Eigen::MatrixXd> llt(a);
  if (llt.info() == Eigen::Success) return llt.solve(b);
  // Rounding made it indefinite.
  return Eigen::LDLT<Eigen::MatrixXd>(a).solve(b);
}

// The lower half of x' x.
Eigen::MatrixXd LowerGram(const Observations& x) {
  Eigen::MatrixXd gram = Eigen::MatrixXd::Zero(x.cols(), x.cols());
  for (Eigen::Index start = 0; start < x.rows(); start += kBlockRows) {
    const Eigen::Index rows = std::min(kBlockRows, x.rows() - start);
    const Eigen::MatrixXf part = x.middleRows(start, rows);
    Eigen::MatrixXf products = Eigen::MatrixXf::Zero(x.cols(), x.cols());
    products.selfadjointView<Eigen::Lower>().rankUpdate(part.transpose());
    gram += products.cast<double>();
  }
  return gram;
}

// W = X' (X X' + lambda I)^-1 Y, the same W when there are fewer rows than
// inputs.
Eigen::MatrixXd SolveDual(const Observations& x, const Observations& y,
                          double ridge) {
  const Eigen::Index rows = x.rows();
  Eigen::MatrixXf products = Eigen::MatrixXf::Zero(rows, rows);
  products.selfadjointView<Eigen::Lower>().rankUpdate(x);
  Eigen::MatrixXd kernel = products.cast<double>();
  // Both Gram matrices have the same trace.
  const double mean_diagonal = kernel.trace() / static_cast<double>(x.cols());
  if (mean_diagonal <= 0) return Eigen::MatrixXd::Zero(x.cols(), y.cols());
  const Eigen::MatrixXd dual =
      SolveShifted(std::move(kernel), ridge * mean_diagonal, y.cast<double>());
  const Eigen::MatrixXf weights = x.transpose() * dual.cast<float>();
  return weights.cast<double>();
}

}  // namespace

Moments MomentsOf(Observations x, Observations y, bool takes_means) {
  UseOneBlasThread();
  Moments moments;
  moments.x_means = Eigen::VectorXd::Zero(x.cols());
  moments.y_means = Eigen::VectorXd::Zero(y.cols());
  if (takes_means) {
    moments.x_means = TakeMeans(&x);
    moments.y_means = TakeMeans(&y);
  }
  const Eigen::Index inputs = x.cols();
  moments.gram = LowerGram(x);
  moments.cross = Eigen::MatrixXd::Zero(inputs, y.cols());
  for (Eigen::Index start = 0; start < x.rows(); start += kBlockRows) {
    const Eigen::Index rows = std::min(kBlockRows, x.rows() - start);
    const Eigen::MatrixXf crossed =
        x.middleRows(start, rows).transpose() * y.middleRows(start, rows);
    moments.cross += crossed.cast<double>();
  }
  return moments;
}

Eigen::MatrixXd SolveMoments(const Moments& moments, double ridge) {
  const Eigen::Index inputs = moments.gram.rows();
  const double mean_diagonal =
      moments.gram.trace() / static_cast<double>(inputs);
  if (mean_diagonal <= 0) {
    return Eigen::MatrixXd::Zero(inputs, moments.cross.cols());
  }
  return SolveShifted(moments.gram, ridge * mean_diagonal, moments.cross);
}

Eigen::MatrixXd CenteredGram(Observations x) {
  UseOneBlasThread();
  TakeMeans(&x);
  return LowerGram(x).selfadjointView<Eigen::Lower>();
}

RidgeSolution SolveRidge(Observations x, Observations y, double ridge,
                         bool has_intercept) {
  RidgeSolution solution;
  if (x.rows() >= x.cols()) {
    const Moments moments =
        MomentsOf(std::move(x), std::move(y), has_intercept);
    solution.weights = SolveMoments(moments, ridge);
    solution.intercept =
        moments.y_means - solution.weights.transpose() * moments.x_means;
    return solution;
  }
  UseOneBlasThread();
  Eigen::VectorXd x_means = Eigen::VectorXd::Zero(x.cols());
  Eigen::VectorXd y_means = Eigen::VectorXd::Zero(y.cols());
  if (has_intercept) {
    x_means = TakeMeans(&x);
    y_means = TakeMeans(&y);
  }
  solution.weights = SolveDual(x, y, ridge);
  solution.intercept = y_means - solution.weights.transpose() * x_means;
  return solution;
}

}  // namespace lathe

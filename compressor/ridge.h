// Ridge regression with a free intercept.
#ifndef LATHE_COMPRESSOR_RIDGE_H_
#define LATHE_COMPRESSOR_RIDGE_H_

#include <Eigen/Core>

namespace lathe {

// Observations, one a row.
using Observations =
    Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

// Sums over the rows of x and y.
struct Moments {
  Eigen::VectorXd x_means;  // [inputs]; 0 where means stay in.
  Eigen::VectorXd y_means;  // [outputs]
  Eigen::MatrixXd gram;     // x' x, of which only the lower half is set.
  Eigen::MatrixXd cross;    // x' y
};

// Takes the column means out of x and y where `takes_means`. The same bits
// every time. REQUIRES: x and y have the same number of rows, at least 1.
Moments MomentsOf(Observations x, Observations y, bool takes_means);

// The W that minimises the squared error of W' x for y, plus lambda |W|^2, as
// SolveRidge has it.
Eigen::MatrixXd SolveMoments(const Moments& moments, double ridge);

struct RidgeSolution {
  Eigen::MatrixXd weights;    // [inputs, outputs]
  Eigen::VectorXd intercept;  // [outputs]
};

// The `weights` W and `intercept` c that minimise
//   sum over rows |y - W' x - c|^2 + lambda |W|^2,
// lambda being `ridge` times the mean diagonal of the Gram matrix of x. Without
// `has_intercept` c is 0; with it, means are taken out of x and y first. Solves
// the smaller of the primal (inputs x inputs) and the dual (rows x rows)
// system by Cholesky in double precision; the same bits every time.
//
// REQUIRES: x and y have the same number of rows, at least 1; ridge > 0.
RidgeSolution SolveRidge(Observations x, Observations y, double ridge,
                         bool has_intercept);

// The Gram matrix of the columns of x about their means, whole. Computed as
// SolveRidge does; the same bits every time.
//
// REQUIRES: x has at least 1 row.
Eigen::MatrixXd CenteredGram(Observations x);

}  // namespace lathe

#endif  // LATHE_COMPRESSOR_RIDGE_H_

// Ridge regression with a free intercept.
#ifndef LATHE_COMPRESSOR_RIDGE_H_
#define LATHE_COMPRESSOR_RIDGE_H_

#include <Eigen/Core>

namespace lathe {

// Observations, one a row.
using Observations =
    Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

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

}  // namespace lathe

#endif  // LATHE_COMPRESSOR_RIDGE_H_

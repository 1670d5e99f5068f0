// The linear algebra of Gaussian-process regression (Rasmussen and Williams,
// "Gaussian Processes for Machine Learning", 2006, algorithm 2.1).
#ifndef LATHE_AGENT_GAUSSIAN_WEIGHTS_H_
#define LATHE_AGENT_GAUSSIAN_WEIGHTS_H_

#include <Eigen/Dense>

namespace lathe {

// A factorised covariance and what it makes of the targets. Immutable.
struct GaussianWeights {
  // Lower Cholesky factor of the covariance of the targets.
  Eigen::MatrixXd factor;
  // covariance^-1 * targets: the posterior mean anywhere is the covariance with
  // the rows times this.
  Eigen::VectorXd alpha;
  double log_likelihood = 0;
};

// REQUIRES: `covariance` is symmetric and positive definite (noise included),
// of the size of `targets`.
GaussianWeights FitGaussian(const Eigen::MatrixXd& covariance,
                            const Eigen::VectorXd& targets);

}  // namespace lathe

#endif  // LATHE_AGENT_GAUSSIAN_WEIGHTS_H_

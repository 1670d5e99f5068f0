#include "agent/gaussian_weights.h"

#include <utility>

namespace lathe {

GaussianWeights FitGaussian(const Eigen::MatrixXd& covariance,
                            const Eigen::VectorXd& targets) {
  GaussianWeights weights;
  const Eigen::LLT<Eigen::MatrixXd> cholesky(covariance);
  weights.factor = cholesky.matrixL();
  weights.alpha = cholesky.solve(targets);
  // Up to a constant.
  weights.log_likelihood = -0.5 * targets.dot(weights.alpha) -
                           weights.factor.diagonal().array().log().sum();
  return weights;
}

}  // namespace lathe

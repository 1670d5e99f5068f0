#include "agent/linear_correction.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include <Eigen/Dense>

namespace lathe {

LinearCorrection::LinearCorrection(Options options)
    : options_(std::move(options)), coefficients_(options_.prior) {}

void LinearCorrection::Observe(std::vector<double> parts, double target) {
  for (double& part : parts) part /= target;
  rows_.push_back(Row{std::move(parts)});
  Fit();
}

void LinearCorrection::Fit() {
  // Huber's constant: 95 % efficiency where errors are normal.
  constexpr double kHuber = 1.345;
  const int n = static_cast<int>(options_.prior.size());
  const auto prior =
      Eigen::Map<const Eigen::VectorXd>(options_.prior.data(), n);
  const Eigen::VectorXd precision =
      Eigen::Map<const Eigen::VectorXd>(options_.spread.data(), n)
          .array().square().inverse();
  Eigen::VectorXd solution =
      Eigen::Map<const Eigen::VectorXd>(coefficients_.data(), n);
  for (int pass = 0; pass < 4; ++pass) {
    Eigen::MatrixXd a = precision.asDiagonal();
    Eigen::VectorXd b = precision.cwiseProduct(prior);
    for (const Row& row : rows_) {
      const auto x = Eigen::Map<const Eigen::VectorXd>(row.parts.data(), n);
      // The first pass takes all rows alike: the old solution may be far off.
      const double error = std::abs(1 - x.dot(solution)) / options_.noise;
      const double trust =
          pass == 0 ? 1 : kHuber / std::max(kHuber, error);
      const double weight = trust / (options_.noise * options_.noise);
      a += weight * x * x.transpose();
      b += weight * x;
    }
    solution = a.ldlt().solve(b);
  }
  coefficients_.assign(solution.data(), solution.data() + n);
}

}  // namespace lathe

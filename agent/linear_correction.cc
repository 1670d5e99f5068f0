#include "agent/linear_correction.h"

#include <Eigen/Dense>
#include <algorithm>
#include <cmath>
#include <utility>

namespace lathe {

LinearCorrection::LinearCorrection(Options options)
    : options_(std::move(options)), coefficients_(options_.prior) {}

void LinearCorrection::Observe(std::vector<double> parts, double target) {
  rows_.push_back(Row{std::move(parts), target});
  Fit();
}

void LinearCorrection::Fit() {
  // Huber's constant: 95 % efficiency where errors are normal.
  constexpr double kHuber = 1.345;
  constexpr int kPasses = 4;
  const int n = static_cast<int>(options_.prior.size());
  const auto prior =
      Eigen::Map<const Eigen::VectorXd>(options_.prior.data(), n);
  const Eigen::VectorXd precision =
      Eigen::Map<const Eigen::VectorXd>(options_.spread.data(), n)
          .array()
          .square()
          .inverse();
  Eigen::VectorXd solution =
      Eigen::Map<const Eigen::VectorXd>(coefficients_.data(), n);
  for (int pass = 0; pass < kPasses; ++pass) {
    Eigen::MatrixXd a = precision.asDiagonal();
    Eigen::VectorXd b = precision.cwiseProduct(prior);
    for (const Row& row : rows_) {
      const auto x = Eigen::Map<const Eigen::VectorXd>(row.parts.data(), n);
      const double predicted = x.dot(solution);
      // The first pass cannot trust the old solution. The later ones take
      // errors as shares of the prediction: as shares of the target they
      // would pull predictions down, low targets counting more.
      const double unit =
          pass == 0 ? row.target : std::max(predicted, 0.2 * row.target);
      const double error =
          std::abs(row.target - predicted) / (unit * options_.noise);
      const double trust = pass == 0 ? 1 : kHuber / std::max(kHuber, error);
      const double weight =
          trust / (unit * unit * options_.noise * options_.noise);
      a += weight * x * x.transpose();
      b += weight * row.target * x;
    }
    solution = a.ldlt().solve(b);
  }
  coefficients_.assign(solution.data(), solution.data() + n);
}

}  // namespace lathe

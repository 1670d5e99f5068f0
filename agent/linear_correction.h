// Coefficients that turn a table's parts into what is really measured.
#ifndef LATHE_AGENT_LINEAR_CORRECTION_H_
#define LATHE_AGENT_LINEAR_CORRECTION_H_

#include <vector>

#include "absl/types/span.h"

namespace lathe {

// Fits target = sum of coefficient x part by ridge regression on relative
// errors, towards prior coefficients, with Huber's weights so that one wild
// measurement moves little. Not thread-safe.
class LinearCorrection {
 public:
  struct Options {
    // What the coefficients are before anything is measured, and how far each
    // is believed to lie from that (standard deviation).
    std::vector<double> prior;
    std::vector<double> spread;
    // Relative standard error of one measurement.
    double noise = 0.02;
  };
  explicit LinearCorrection(Options options);

  // REQUIRES: target > 0; parts.size() is the prior's.
  void Observe(std::vector<double> parts, double target);

  const std::vector<double>& coefficients() const { return coefficients_; }

 private:
  struct Row {
    std::vector<double> parts;
    double target = 0;
  };
  void Fit();

  const Options options_;
  std::vector<double> coefficients_;
  std::vector<Row> rows_;
};

}  // namespace lathe

#endif  // LATHE_AGENT_LINEAR_CORRECTION_H_

#include "evaluator/paired_test.h"

#include <algorithm>

namespace lathe {
namespace {

// More would stake all on a single pair.
constexpr double kMostStake = 0.5;
// Stands for what is known of the squared difference before the first pair: as
// large as half of [-1, 1] gives.
constexpr double kFirstSquare = 0.25;

}  // namespace

void PairedTest::Add(double own, double other) {
  // The stake that grows the wealth fastest, to second order, if the pairs to
  // come are like those before.
  const double stake =
      std::clamp(sum_ / (squares_ + kFirstSquare), 0.0, kMostStake);
  const double difference = own - other;
  wealth_ *= 1 + stake * difference;
  most_wealth_ = std::max(most_wealth_, wealth_);
  ++count_;
  sum_ += difference;
  squares_ += difference * difference;
}

}  // namespace lathe

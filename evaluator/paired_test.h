// Whether one plan's mean loss is above another's, as samples come in.
#ifndef LATHE_EVALUATOR_PAIRED_TEST_H_
#define LATHE_EVALUATOR_PAIRED_TEST_H_

#include <cstdint>

namespace lathe {

// A test by betting (Waudby-Smith and Ramdas, "Estimating means of bounded
// random variables by betting", 2023, section 4): a gambler stakes a share of
// his wealth, set by the pairs before, on the next difference being positive.
// Were the mean difference not above 0, his wealth would exceed 1 / alpha at
// any time with probability alpha at most (Ville's inequality), so that one may
// look after every pair and stop when one likes. Not thread-safe.
class PairedTest {
 public:
  // Losses of both on one sample. REQUIRES: both are in [0, 1].
  void Add(double own, double other);

  // That the mean of own - other is above 0, in [0, 1): 1 - 1 / the largest
  // wealth so far; 0 before it grew.
  double confidence() const { return 1 - 1 / most_wealth_; }
  // Mean of own - other so far; 0 before the first pair.
  double mean_difference() const { return count_ == 0 ? 0 : sum_ / count_; }

 private:
  double wealth_ = 1;
  double most_wealth_ = 1;
  int64_t count_ = 0;
  double sum_ = 0;
  double squares_ = 0;
};

}  // namespace lathe

#endif  // LATHE_EVALUATOR_PAIRED_TEST_H_

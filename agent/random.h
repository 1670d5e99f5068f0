// Random numbers that are the same everywhere: the standard library's engines
// are specified exactly, its distributions are not, so these are our own.
#ifndef LATHE_AGENT_RANDOM_H_
#define LATHE_AGENT_RANDOM_H_

#include <cstdint>
#include <random>
#include <vector>

#include "agent/state_archive.h"

namespace lathe {

// Not thread-safe. The sequence depends on the seed and the calls only.
class Random {
 public:
  explicit Random(uint64_t seed) : engine_(seed) {}

  // In [0, 1), 53 random bits.
  double Uniform();
  // In [0, n). REQUIRES: n > 0.
  int Below(int n);
  // Standard normal.
  double Normal();
  // Normal, drawn again until it lies in [low, high]. REQUIRES: low <= high.
  double TruncatedNormal(double mean, double sigma, double low, double high);
  // An index with probability in proportion to its weight; the last one when
  // all weights are 0. REQUIRES: weights are not empty and not negative.
  int Weighted(const std::vector<double>& weights);
  // Exponential with mean 1.
  double Exponential();

  // See StateArchive.
  void Visit(StateArchive& archive);

 private:
  std::mt19937_64 engine_;
};

}  // namespace lathe

#endif  // LATHE_AGENT_RANDOM_H_

// Latencies of many calls, and what they say.
#ifndef LATHE_EXPERIMENTS_LOAD_LATENCY_SAMPLE_H_
#define LATHE_EXPERIMENTS_LOAD_LATENCY_SAMPLE_H_

#include <nlohmann/json_fwd.hpp>
#include <vector>

#include "absl/time/time.h"

namespace lathe {

// Keeps every value. Not thread-safe.
class LatencySample {
 public:
  void Add(absl::Duration latency) {
    values_ms_.push_back(absl::ToDoubleMilliseconds(latency));
  }
  void AddAll(const LatencySample& other);

  // {"calls", "p50_ms", "p99_ms", "max_ms"}; null without calls.
  nlohmann::json ToJson() const;

 private:
  std::vector<double> values_ms_;
};

}  // namespace lathe

#endif  // LATHE_EXPERIMENTS_LOAD_LATENCY_SAMPLE_H_

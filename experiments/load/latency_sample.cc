#include "experiments/load/latency_sample.h"

#include <algorithm>
#include <nlohmann/json.hpp>

namespace lathe {

void LatencySample::AddAll(const LatencySample& other) {
  values_ms_.insert(values_ms_.end(), other.values_ms_.begin(),
                    other.values_ms_.end());
}

nlohmann::json LatencySample::ToJson() const {
  if (values_ms_.empty()) return nullptr;
  std::vector<double> sorted = values_ms_;
  std::sort(sorted.begin(), sorted.end());
  const auto at = [&sorted](double share) {
    return sorted[static_cast<size_t>(share * (sorted.size() - 1))];
  };
  return {{"calls", sorted.size()},
          {"p50_ms", at(0.5)},
          {"p99_ms", at(0.99)},
          {"max_ms", sorted.back()}};
}

}  // namespace lathe

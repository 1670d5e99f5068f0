#include "agent/random.h"

#include <algorithm>
#include <cmath>
#include <sstream>
#include <string>

namespace lathe {

double Random::Uniform() {
  return static_cast<double>(engine_() >> 11) * 0x1.0p-53;
}

int Random::Below(int n) {
  return std::min(n - 1, static_cast<int>(Uniform() * n));
}

double Random::Normal() {
  // Box and Muller; 1 - u keeps the logarithm finite.
  const double radius = std::sqrt(-2 * std::log(1 - Uniform()));
  return radius * std::cos(2 * M_PI * Uniform());
}

double Random::TruncatedNormal(double mean, double sigma, double low,
                               double high) {
  // A mean inside the interval is rejected at most half the time per side, so
  // 100 failures mean that sigma is far larger than the interval.
  for (int attempt = 0; attempt < 100; ++attempt) {
    const double value = mean + sigma * Normal();
    if (value >= low && value <= high) return value;
  }
  return low + (high - low) * Uniform();
}

int Random::Weighted(const std::vector<double>& weights) {
  double total = 0;
  for (const double weight : weights) total += weight;
  double point = Uniform() * total;
  for (size_t i = 0; i < weights.size(); ++i) {
    if (weights[i] > 0 && point < weights[i]) return static_cast<int>(i);
    point -= weights[i];
  }
  return static_cast<int>(weights.size()) - 1;
}

double Random::Exponential() { return -std::log(1 - Uniform()); }

void Random::Visit(StateArchive& archive) {
  std::ostringstream written;
  written << engine_;
  std::string text = written.str();
  archive(text);
  std::istringstream(text) >> engine_;
}

}  // namespace lathe

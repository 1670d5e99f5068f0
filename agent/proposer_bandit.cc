#include "agent/proposer_bandit.h"

namespace lathe {
namespace {

// How fast old gains are forgotten: gains shrink as the frontier closes.
constexpr double kRate = 0.2;

// Before anything was gained all are alike, and hopeful: any real gain is
// smaller, so that each is tried.
constexpr double kFirstGain = 0.002;

}  // namespace

ProposerBandit::ProposerBandit(int proposers) : gains_(proposers, kFirstGain) {}

int ProposerBandit::Draw(Random* random) const {
  double total = 0;
  for (const double gain : gains_) total += gain;
  const double floor_share = kFloor * static_cast<double>(gains_.size());
  std::vector<double> weights;
  for (const double gain : gains_) {
    weights.push_back(kFloor +
                      (1 - floor_share) *
                          (total > 0 ? gain / total : 1.0 / gains_.size()));
  }
  return random->Weighted(weights);
}

void ProposerBandit::Credit(int proposer, double gain) {
  gains_[proposer] += kRate * (gain - gains_[proposer]);
}

}  // namespace lathe

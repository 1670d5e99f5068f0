#include "agent/reachability.h"

#include <algorithm>
#include <cstdlib>

#include "absl/types/span.h"

namespace lathe {
namespace {

std::vector<int> DomainSizes(const DecisionSpace& space) {
  std::vector<int> sizes;
  for (const KeepGroup& group : space.groups()) {
    sizes.push_back(static_cast<int>(group.keep_ratios.size()));
  }
  return sizes;
}

MinSum MakeMinSum(const DecisionSpace& space, const CostModel& costs,
                  double CostModel::LayerCost::*part) {
  return MinSum(DomainSizes(space),
                costs.LeastTables(
                    [part](int layer, int option, CostModel::LayerCost cost) {
                      return cost.*part;
                    }));
}

// Sums in another order may differ in the last bits.
constexpr double kSlack = 1 + 1e-9;

double Excess(double value, double limit) {
  return limit > 0 ? value / limit - 1 : value;
}

}  // namespace

Reachability::Reachability(const DecisionSpace* space, const CostModel* costs)
    : space_(*space),
      costs_(*costs),
      us_(MakeMinSum(*space, *costs, &CostModel::LayerCost::us)),
      bytes_(MakeMinSum(*space, *costs, &CostModel::LayerCost::bytes)),
      fixed_us_(costs->FixedUs()),
      fixed_bytes_(costs->FixedBytes()),
      least_us_(fixed_us_ + us_.LeastGiven({})),
      least_bytes_(fixed_bytes_ + bytes_.LeastGiven({})) {}

PrefixWalker::PrefixWalker(const Reachability* reachability)
    : reach_(reachability),
      keeps_(reachability->space_.groups().size(), 0),
      bound_{reachability->least_us_, reachability->least_bytes_},
      spent_{reachability->fixed_us_, reachability->fixed_bytes_} {}

bool PrefixWalker::is_complete() const {
  return static_cast<int>(choices_.size()) == reach_->space_.size();
}

const Decision& PrefixWalker::next() const {
  return reach_->space_.decisions()[choices_.size()];
}

CostModel::LayerCost PrefixWalker::Cost(int layer, int option) const {
  return reach_->costs_.CostOf(layer, option, keeps_);
}

CostModel::LayerCost PrefixWalker::Least(int layer) const {
  CostModel::LayerCost least = Cost(layer, 0);
  const int options = reach_->space_.space().layers(layer).precisions_size();
  for (int option = 1; option < options; ++option) {
    const CostModel::LayerCost cost = Cost(layer, option);
    least.us = std::min(least.us, cost.us);
    least.bytes = std::min(least.bytes, cost.bytes);
  }
  return least;
}

PrefixWalker::Bound PrefixWalker::BoundIf(int choice) const {
  const Decision& decision = next();
  Bound after = bound_;
  if (decision.is_keep) {
    std::vector<int> prefix(keeps_.begin(), keeps_.begin() + decided_groups_);
    after.us -= reach_->us_.LeastGiven(prefix);
    after.bytes -= reach_->bytes_.LeastGiven(prefix);
    prefix.push_back(choice);
    after.us += reach_->us_.LeastGiven(prefix);
    after.bytes += reach_->bytes_.LeastGiven(prefix);
  } else {
    const CostModel::LayerCost least = Least(decision.layer);
    const CostModel::LayerCost cost = Cost(decision.layer, choice);
    after.us += cost.us - least.us;
    after.bytes += cost.bytes - least.bytes;
  }
  return after;
}

std::vector<int> PrefixWalker::Allowed(const Limits& limits) const {
  std::vector<int> allowed;
  for (int choice = 0; choice < next().count; ++choice) {
    const Bound after = BoundIf(choice);
    if (after.us <= limits.us * kSlack &&
        after.bytes <= limits.bytes * kSlack) {
      allowed.push_back(choice);
    }
  }
  return allowed;
}

int PrefixWalker::LeastExceeding(const Limits& limits) const {
  int best = 0;
  double least = std::numeric_limits<double>::infinity();
  for (int choice = 0; choice < next().count; ++choice) {
    const Bound after = BoundIf(choice);
    const double excess = std::max(Excess(after.us, limits.us),
                                   Excess(after.bytes, limits.bytes));
    if (excess < least) {
      least = excess;
      best = choice;
    }
  }
  return best;
}

void PrefixWalker::Push(int choice) {
  history_.push_back({bound_, spent_});
  bound_ = BoundIf(choice);
  const Decision& decision = next();
  if (decision.is_keep) {
    keeps_[decision.group] = choice;
    decided_groups_ = decision.group + 1;
  } else {
    const CostModel::LayerCost cost = Cost(decision.layer, choice);
    spent_.us += cost.us;
    spent_.bytes += cost.bytes;
  }
  choices_.push_back(choice);
}

void PrefixWalker::Pop() {
  choices_.pop_back();
  const Decision& decision = next();
  if (decision.is_keep) {
    keeps_[decision.group] = 0;
    decided_groups_ = decision.group;
  }
  bound_ = history_.back().bound;
  spent_ = history_.back().spent;
  history_.pop_back();
}

int Nearest(const std::vector<int>& allowed, int wanted) {
  return *std::min_element(allowed.begin(), allowed.end(),
                           [wanted](int a, int b) {
                             return std::abs(a - wanted) < std::abs(b - wanted);
                           });
}

}  // namespace lathe

#include "agent/additive_solver.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <utility>
#include <vector>

#include "agent/min_sum.h"

namespace lathe {
namespace {

class Solver {
 public:
  Solver(const SearchCore& core, const DivergenceModel& model,
         const Limits& limits)
      : core_(core), model_(model), limits_(limits) {}

  PricedPlan Solve() const {
    // Damage is of the order of 1 at most and cost a share of the limits:
    // beyond this price only the cost counts.
    constexpr double kLowestPrice = 1e-4;
    constexpr double kHighestPrice = 1e4;
    constexpr int kBisections = 12;
    Choices plan = AtPrice(0);
    if (core_.IsWithin(plan, limits_)) return {plan, 0};
    double low = std::log(kLowestPrice);
    double high = std::log(kHighestPrice);
    plan = AtPrice(kHighestPrice);
    for (int i = 0; i < kBisections; ++i) {
      const double middle = (low + high) / 2;
      Choices tried = AtPrice(std::exp(middle));
      if (core_.IsWithin(tried, limits_)) {
        plan = std::move(tried);
        high = middle;
      } else {
        low = middle;
      }
    }
    return {Improve(std::move(plan)), std::exp(high)};
  }

 private:
  double Price(int layer, int option, CostModel::LayerCost cost,
               double price) const {
    double share = 0;
    if (std::isfinite(limits_.us)) share += cost.us / limits_.us;
    if (std::isfinite(limits_.bytes)) share += cost.bytes / limits_.bytes;
    return model_.ChoiceDamage(core_.space().option_decision(layer), option) +
           price * share;
  }

  // Minimises damage + price x cost.
  Choices AtPrice(double price) const {
    const DecisionSpace& space = core_.space();
    std::vector<CostTable> tables = core_.costs().LeastTables(
        [this, price](int layer, int option, CostModel::LayerCost cost) {
          return Price(layer, option, cost, price);
        });
    std::vector<int> domains;
    for (size_t g = 0; g < space.groups().size(); ++g) {
      CostTable table;
      table.variables = {static_cast<int>(g)};
      const int d = space.keep_decision(static_cast<int>(g));
      domains.push_back(space.decisions()[d].count);
      for (int c = 0; c < domains.back(); ++c) {
        table.values.push_back(model_.ChoiceDamage(d, c));
      }
      tables.push_back(std::move(table));
    }
    const std::vector<int> keeps =
        MinSum(std::move(domains), std::move(tables)).Complete({});
    Choices plan(space.size());
    for (size_t g = 0; g < keeps.size(); ++g) {
      plan[space.keep_decision(static_cast<int>(g))] = keeps[g];
    }
    for (int i = 0; i < space.space().layers_size(); ++i) {
      plan[space.option_decision(i)] = BestOption(i, keeps, price);
    }
    return plan;
  }

  int BestOption(int layer, const std::vector<int>& keeps, double price) const {
    int best = 0;
    double least = std::numeric_limits<double>::infinity();
    for (int o = 0; o < core_.space().space().layers(layer).precisions_size();
         ++o) {
      const double value =
          Price(layer, o, core_.costs().CostOf(layer, o, keeps), price);
      if (value < least) {
        least = value;
        best = o;
      }
    }
    return best;
  }

  // Takes the single change that lowers the damage most within the limits,
  // until there is none.
  Choices Improve(Choices plan) const {
    for (;;) {
      double most = 1e-9;
      int decision = -1;
      int choice = 0;
      Choices changed = plan;
      for (int d = 0; d < core_.space().size(); ++d) {
        const double now = model_.ChoiceDamage(d, plan[d]);
        for (int c = 0; c < core_.space().decisions()[d].count; ++c) {
          const double won = now - model_.ChoiceDamage(d, c);
          if (won <= most) continue;
          changed[d] = c;
          if (core_.IsWithin(changed, limits_)) {
            most = won;
            decision = d;
            choice = c;
          }
        }
        changed[d] = plan[d];
      }
      if (decision < 0) return plan;
      plan[decision] = choice;
    }
  }

  const SearchCore& core_;
  const DivergenceModel& model_;
  const Limits limits_;
};

}  // namespace

PricedPlan LeastDamageAndPrice(const SearchCore& core,
                               const DivergenceModel& model,
                               const Limits& limits) {
  return Solver(core, model, limits).Solve();
}

Choices LeastDamage(const SearchCore& core, const DivergenceModel& model,
                    const Limits& limits) {
  return LeastDamageAndPrice(core, model, limits).plan;
}

}  // namespace lathe

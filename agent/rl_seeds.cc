#include "agent/rl_seeds.h"

#include <algorithm>
#include <cmath>
#include <tuple>
#include <utility>

#include "agent/sensitivity_table.h"
#include "agent/uniform_plans.h"

namespace lathe {
namespace {

class SeedList {
 public:
  SeedList(const SearchCore& core, size_t most) : core_(core), most_(most) {}

  // Adds an unknown plan within the limits; returns whether it is in the list.
  void Add(const Choices& plan) {
    if (seeds_.size() >= most_ || core_.IsKnown(plan) ||
        !core_.IsWithin(plan, core_.limits()) ||
        std::find(seeds_.begin(), seeds_.end(), plan) != seeds_.end()) {
      return;
    }
    seeds_.push_back(plan);
  }

  std::vector<Choices> Take() { return std::move(seeds_); }

 private:
  const SearchCore& core_;
  const size_t most_;
  std::vector<Choices> seeds_;
};

void AddUniformPlans(const SearchCore& core, SeedList* seeds) {
  const DecisionSpace& space = core.space();
  seeds->Add(UniformPlan(space, v1::INT8, 8, 1));
  seeds->Add(UniformPlan(space, v1::BF16, 16, 1));
  if (SizeMatters(core)) {
    for (const int bits : {4, 6, 3}) {
      seeds->Add(UniformPlan(space, v1::INT8, bits, 1));
    }
  }
  for (const double keep : {0.75, 0.5, 0.25}) {
    seeds->Add(UniformPlan(space, v1::INT8, 8, keep));
  }
  seeds->Add(UniformPlan(space, v1::F32, 32, 0.5));
}

// The fastest way to compute each layer, with as many channels as fit.
Choices FastestBase(const SearchCore& core) {
  const DecisionSpace& space = core.space();
  Choices base;
  for (const double keep : AllKeepRatios(space)) {
    base = UniformPlan(space, v1::F32, 32, keep);
    const std::vector<int> keeps = space.Keeps(base);
    for (int i = 0; i < space.space().layers_size(); ++i) {
      int& option = base[space.option_decision(i)];
      for (int o = 1; o < space.space().layers(i).precisions_size(); ++o) {
        if (core.costs().CostOf(i, o, keeps).us <
            core.costs().CostOf(i, option, keeps).us) {
          option = o;
        }
      }
    }
    if (core.IsWithin(base, core.limits())) return base;
  }
  return base;
}

// The choice of a group that keeps about half of what `base` keeps.
int HalfKept(const KeepGroup& group, int base) {
  int best = base;
  const double wanted = group.keep_ratios[base] / 2;
  for (size_t c = 0; c < group.keep_ratios.size(); ++c) {
    if (std::abs(group.keep_ratios[c] - wanted) <
        std::abs(group.keep_ratios[best] - wanted)) {
      best = static_cast<int>(c);
    }
  }
  return best;
}

// Single changes of `base`, by the latency at stake.
std::vector<Choices> SingleChanges(const SearchCore& core,
                                   const Choices& base) {
  const DecisionSpace& space = core.space();
  const double base_us = core.costs().LatencyUs(base);
  std::vector<std::tuple<double, int, Choices>> ranked;
  for (int d = 0; d < space.size(); ++d) {
    const Decision& decision = space.decisions()[d];
    Choices changed = base;
    changed[d] = decision.is_keep
                     ? HalfKept(space.groups()[decision.group], base[d])
                     : 0;
    if (changed[d] == base[d]) continue;
    const double stake = std::abs(core.costs().LatencyUs(changed) - base_us);
    ranked.emplace_back(-stake, d, std::move(changed));
  }
  std::sort(ranked.begin(), ranked.end());
  std::vector<Choices> changes;
  for (auto& [stake, d, plan] : ranked) changes.push_back(std::move(plan));
  return changes;
}

}  // namespace

bool SizeMatters(const SearchCore& core) {
  return core.objective().has_size() ||
         core.objective().budget().size_ratio.has_value();
}

std::vector<Choices> MakeSeeds(const SearchCore& core, size_t most) {
  if (core.space().size() == 0) return {};
  SeedList seeds(core, most);
  AddUniformPlans(core, &seeds);
  // Single changes are known already, or most of them.
  const v1::Sensitivity& known = core.context().sensitivity;
  if (known.entries_size() > known.choices_not_reached()) return seeds.Take();
  const bool is_limited =
      std::isfinite(core.limits().us) || std::isfinite(core.limits().bytes);
  if (!is_limited) {
    // Against the uncompressed model a single change stands alone, and its
    // effect is seen most precisely.
    for (const SingleChange& change : UsefulChanges(core, most)) {
      Choices plan(core.space().size(), 0);
      plan[change.decision] = change.choice;
      seeds.Add(plan);
    }
    return seeds.Take();
  }
  const Choices base = FastestBase(core);
  seeds.Add(base);
  for (const Choices& plan : SingleChanges(core, base)) seeds.Add(plan);
  return seeds.Take();
}

}  // namespace lathe

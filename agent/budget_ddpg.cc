#include "agent/budget_ddpg.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <utility>

namespace lathe {
namespace {

constexpr int kBatch = 64;

// Transitions remembered per step of an episode (HAQ's code).
constexpr size_t kMemoryPerStep = 128;

// Weight of a new batch in the moving average of rewards (both codes).
constexpr double kBaselineRate = 0.5;

int WarmUp(const DdpgMethod& method, int episodes, int steps) {
  const double share =
      static_cast<double>(method.warm_up_episodes) / method.episodes;
  // Batches are drawn from what the warm-up left.
  const int fill = (kBatch + std::max(1, steps) - 1) / std::max(1, steps);
  return std::max(fill, static_cast<int>(std::lround(share * episodes)));
}

}  // namespace

BudgetDdpg::BudgetDdpg(const SearchCore* core, const DdpgMethod* method,
                       double looseness, int episodes, uint64_t seed)
    : core_(*core),
      method_(*method),
      looseness_(looseness),
      warm_up_(WarmUp(*method, episodes, StepCount())),
      learner_(StateSize(*method), seed) {}

int BudgetDdpg::StateSize(const DdpgMethod& method) {
  return method.kind == DdpgMethod::kHaq ? 10 : 11;
}

int BudgetDdpg::StepCount() const {
  const std::vector<Decision>& decisions = core_.space().decisions();
  return static_cast<int>(
      std::count_if(decisions.begin(), decisions.end(),
                    [](const Decision& d) { return d.count > 1; }));
}

EpisodeBudget BudgetDdpg::budget() const {
  EpisodeBudget budget;
  const auto between = [this](double least) {
    return least + looseness_ * (1 - std::min(1.0, least));
  };
  if (core_.objective().has_latency()) {
    budget.latency_ratio =
        between(core_.reachability().least_us() / core_.costs().baseline_us());
  }
  if (core_.objective().has_size()) {
    budget.size_ratio = between(core_.reachability().least_bytes() /
                                core_.costs().baseline_bytes());
  }
  return budget;
}

double BudgetDdpg::noise() const {
  return DdpgMethod::kFirstNoise *
         std::pow(method_.noise_decay, std::max(0, episode_ - warm_up_));
}

Choices BudgetDdpg::Roll(Random* random) {
  const bool is_warm_up = episode_ < warm_up_;
  const Limits limits = LimitsOf(core_, budget());
  const double sigma = noise();
  ++episode_;
  PrefixWalker walker(&core_.reachability());
  double last_action = 1;
  while (!walker.is_complete()) {
    const Decision& decision = walker.next();
    if (decision.count == 1) {
      walker.Push(0);
      continue;
    }
    double action = random->Uniform();
    if (!is_warm_up) {
      const float mean =
          learner_.Act(method_.State(core_, walker, last_action), 1)[0];
      action = random->TruncatedNormal(mean, std::max(sigma, 1e-6), 0, 1);
    }
    int choice = method_.ToChoice(core_.space(), decision, action);
    if (method_.bounds_actions()) {
      const std::vector<int> allowed = walker.Allowed(limits);
      choice = allowed.empty() ? walker.LeastExceeding(limits)
                               : Nearest(allowed, choice);
    }
    last_action = method_.ToAction(core_.space(), decision, choice);
    walker.Push(choice);
  }
  if (method_.bounds_actions()) return walker.choices();
  return LoweredToLimits(core_, walker.choices(), limits);
}

std::vector<Transition> BudgetDdpg::StepsOf(const Choices& executed) const {
  std::vector<Transition> steps;
  PrefixWalker walker(&core_.reachability());
  double last_action = 1;
  for (const int choice : executed) {
    const Decision& decision = walker.next();
    if (decision.count > 1) {
      Transition step;
      step.state = method_.State(core_, walker, last_action);
      if (!steps.empty()) steps.back().next_state = step.state;
      last_action = method_.ToAction(core_.space(), decision, choice);
      step.action = static_cast<float>(last_action);
      steps.push_back(std::move(step));
    }
    walker.Push(choice);
  }
  return steps;
}

void BudgetDdpg::Execute(const Choices& executed) {
  open_[executed] = StepsOf(executed);
}

void BudgetDdpg::Reward(const Choices& executed, double reward,
                        Random* random) {
  const auto it = open_.find(executed);
  if (it == open_.end()) return;
  const std::vector<Transition> steps = std::move(it->second);
  open_.erase(it);
  const size_t most = kMemoryPerStep * std::max<size_t>(1, steps.size());
  for (const Transition& step : steps) {
    memory_.push_back(step);
    memory_.back().reward = static_cast<float>(reward);
    if (memory_.size() > most) memory_.pop_front();
  }
  if (episode_ <= warm_up_ || memory_.size() < kBatch) return;
  for (size_t i = 0; i < steps.size(); ++i) Update(random);
}

void BudgetDdpg::Update(Random* random) {
  std::vector<Transition> batch;
  double mean = 0;
  for (int i = 0; i < kBatch; ++i) {
    batch.push_back(memory_[random->Below(static_cast<int>(memory_.size()))]);
    mean += batch.back().reward / kBatch;
  }
  baseline_ =
      has_baseline_ ? baseline_ + kBaselineRate * (mean - baseline_) : mean;
  has_baseline_ = true;
  std::vector<const Transition*> pointers;
  for (Transition& step : batch) {
    step.reward -= static_cast<float>(baseline_);
    pointers.push_back(&step);
  }
  learner_.Update(pointers);
}

}  // namespace lathe

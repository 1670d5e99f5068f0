#include "agent/ddpg_search.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <utility>

#include "absl/algorithm/container.h"

namespace lathe {
namespace {

constexpr int kBatch = 64;

// Transitions remembered per step of an episode (HAQ's code).
constexpr size_t kMemoryPerStep = 128;

// Weight of a new batch in the moving average of rewards (both codes).
constexpr double kBaselineRate = 0.5;

// Decisions with more than one choice.
int ActionCount(const DecisionSpace& space) {
  return static_cast<int>(absl::c_count_if(
      space.decisions(), [](const Decision& d) { return d.count > 1; }));
}

// Before the first step.
std::vector<float> FirstActions() {
  return std::vector<float>(DdpgMethod::kAxisCount, 1);
}

int WarmUp(const DdpgMethod& method, int episodes, int actions) {
  const double share =
      static_cast<double>(method.warm_up_episodes) / method.episodes;
  // At least a batch's number of actions. Updates wait for as many steps.
  const int fill = (kBatch + std::max(1, actions) - 1) / std::max(1, actions);
  return std::max(fill, static_cast<int>(std::lround(share * episodes)));
}

}  // namespace

DdpgSearch::DdpgSearch(const SearchCore* core, const DdpgMethod* method,
                       int episodes, uint64_t seed)
    : core_(*core),
      method_(*method),
      warm_up_(WarmUp(*method, episodes, ActionCount(core->space()))),
      learner_(method->StateSize(), DdpgMethod::kAxisCount, seed) {}

EpisodeBudget DdpgSearch::BudgetAt(double looseness) const {
  EpisodeBudget budget;
  const auto between = [looseness](double least) {
    return least + looseness * (1 - std::min(1.0, least));
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

double DdpgSearch::noise() const {
  return DdpgMethod::kFirstNoise *
         std::pow(method_.noise_decay, std::max(0, episode_ - warm_up_));
}

Choices DdpgSearch::Roll(double looseness, Random* random) {
  const bool is_warm_up = episode_ < warm_up_;
  const Limits limits = LimitsOf(core_, BudgetAt(looseness));
  const double sigma = noise();
  ++episode_;
  PrefixWalker walker(&core_.reachability());
  std::vector<float> last = FirstActions();
  while (!walker.is_complete()) {
    std::vector<float> means;
    if (!is_warm_up) {
      means = learner_.Act(method_.State(core_, walker, looseness, last));
    }
    last = Push(&walker, [&](const Decision& decision) {
             double action = random->Uniform();
             if (!is_warm_up) {
               action =
                   random->TruncatedNormal(means[DdpgMethod::AxisOf(decision)],
                                           std::max(sigma, 1e-6), 0, 1);
             }
             const int choice =
                 method_.ToChoice(core_.space(), decision, action);
             if (!method_.bounds_actions()) return choice;
             const std::vector<int> allowed = walker.Allowed(limits);
             return allowed.empty() ? walker.LeastExceeding(limits)
                                    : Nearest(allowed, choice);
           }).values;
  }
  if (method_.bounds_actions()) return walker.choices();
  return LoweredToLimits(core_, walker.choices(), limits);
}

StepActions DdpgSearch::Push(
    PrefixWalker* walker,
    absl::FunctionRef<int(const Decision&)> choose) const {
  StepActions executed;
  executed.values.assign(DdpgMethod::kAxisCount, 1);
  executed.has.assign(DdpgMethod::kAxisCount, 0);
  const int layer = walker->next().layer;
  while (!walker->is_complete() && walker->next().layer == layer) {
    const Decision& decision = walker->next();
    int choice = 0;
    if (decision.count > 1) {
      choice = choose(decision);
      const DdpgMethod::Axis axis = DdpgMethod::AxisOf(decision);
      executed.values[axis] =
          static_cast<float>(method_.ToAction(core_.space(), decision, choice));
      executed.has[axis] = 1;
    }
    walker->Push(choice);
  }
  return executed;
}

std::vector<Transition> DdpgSearch::StepsOf(double looseness,
                                            const Choices& executed) const {
  std::vector<Transition> steps;
  PrefixWalker walker(&core_.reachability());
  std::vector<float> last = FirstActions();
  while (!walker.is_complete()) {
    Transition step;
    step.state = method_.State(core_, walker, looseness, last);
    step.actions = Push(&walker, [&](const Decision&) {
      return executed[walker.choices().size()];
    });
    last = step.actions.values;
    if (absl::c_count(step.actions.has, 1) == 0) continue;
    if (!steps.empty()) {
      steps.back().next_state = step.state;
      steps.back().next_has = step.actions.has;
    }
    steps.push_back(std::move(step));
  }
  return steps;
}

void DdpgSearch::Execute(double looseness, const Choices& executed) {
  open_[executed] = StepsOf(looseness, executed);
}

void DdpgSearch::Reward(const Choices& executed, double reward,
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
  const int updates = ActionCount(core_.space());
  for (int i = 0; i < updates; ++i) Update(random);
}

void DdpgSearch::Update(Random* random) {
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

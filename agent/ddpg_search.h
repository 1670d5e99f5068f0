// The search of HAQ or AMC: networks, noise and replay memory.
#ifndef LATHE_AGENT_DDPG_SEARCH_H_
#define LATHE_AGENT_DDPG_SEARCH_H_

#include <cstdint>
#include <deque>
#include <map>
#include <vector>

#include "absl/functional/function_ref.h"
#include "agent/budget_grid.h"
#include "agent/ddpg_learner.h"
#include "agent/ddpg_method.h"
#include "agent/random.h"
#include "agent/search_core.h"

namespace lathe {

// Not thread-safe.
class DdpgSearch {
 public:
  // Runs for about `episodes` plans. `core` and `method` must outlive this.
  DdpgSearch(const SearchCore* core, const DdpgMethod* method, int episodes,
             uint64_t seed);

  // The plan of the next episode, within BudgetAt(looseness) as predicted
  // wherever a plan is: random during the warm-up, then the actor's with
  // truncated normal noise.
  Choices Roll(double looseness, Random* random);

  // An episode for BudgetAt(looseness) was really executed as `executed`: what
  // is remembered is that.
  void Execute(double looseness, const Choices& executed);

  // The reward of an executed plan; every step of the episode gets it. As many
  // updates follow as the episode has actions. Ignores plans of others.
  void Reward(const Choices& executed, double reward, Random* random);

  // An executed plan gets no reward. Ignores plans of others.
  void Drop(const Choices& executed) { open_.erase(executed); }

  // Transitions to learn from, the oldest first.
  const std::deque<Transition>& memory() const { return memory_; }
  // At the share `looseness` of the way from the least that can be reached to
  // the uncompressed model, in all the job's objectives alike.
  EpisodeBudget BudgetAt(double looseness) const;
  int warm_up() const { return warm_up_; }
  // Standard deviation of the noise in the next episode after the warm-up.
  double noise() const;

 private:
  // Decides what stands next of one layer, each by `choose`; returns what that
  // executed.
  StepActions Push(PrefixWalker* walker,
                   absl::FunctionRef<int(const Decision&)> choose) const;
  std::vector<Transition> StepsOf(double looseness,
                                  const Choices& executed) const;
  void Update(Random* random);

  const SearchCore& core_;
  const DdpgMethod& method_;
  const int warm_up_;
  int episode_ = 0;
  DdpgLearner learner_;
  // Executed, not rewarded yet.
  std::map<Choices, std::vector<Transition>> open_;
  std::deque<Transition> memory_;
  // Moving average of the batches' mean rewards, subtracted from them.
  double baseline_ = 0;
  bool has_baseline_ = false;
};

}  // namespace lathe

#endif  // LATHE_AGENT_DDPG_SEARCH_H_

// Plans drawn from the actor under a budget, and the steps that taught it.
#ifndef LATHE_AGENT_POLICY_H_
#define LATHE_AGENT_POLICY_H_

#include <vector>

#include "agent/ddpg_learner.h"
#include "agent/random.h"
#include "agent/search_core.h"
#include "agent/state_features.h"

namespace lathe {

// Not thread-safe.
class Policy {
 public:
  // All must outlive the policy.
  Policy(const SearchCore* core, const DivergenceModel* model,
         DdpgLearner* learner);

  // One plan for each of `sigmas`, within `budget` as predicted: at every
  // decision the actor's action plus truncated normal noise of sigma falls on
  // a choice, and where that would put the budget out of reach, on the nearest
  // choice that does not.
  std::vector<Choices> Draw(const EpisodeBudget& budget,
                            absl::Span<const double> sigmas,
                            Random* random) const;

  // `plan` with the decisions marked in `is_free` drawn anew in the same way;
  // the others stay where the budget allows.
  Choices Redraw(const Choices& plan, const std::vector<bool>& is_free,
                 const EpisodeBudget& budget, double sigma,
                 Random* random) const;

  // The steps of an executed plan as they would have looked under `budget`.
  // The actions are those of the executed choices. The rewards add up to
  // (quality of `divergence` - reference) x kRewardScale: each step gets the
  // change of quality that the model ascribes to it (potential-based shaping:
  // the potential is the quality at the damage of the choices so far), the last
  // one what the model got wrong.
  std::vector<Transition> Replay(const Choices& plan, double divergence,
                                 double reference,
                                 const EpisodeBudget& budget) const;

  static constexpr double kRewardScale = 5;

 private:
  // Drops coarser weights that, in the same kernel, save nothing that counts.
  // Never drops all.
  void RemoveUseless(const PrefixWalker& walker,
                     std::vector<int>* allowed) const;
  int Choose(const PrefixWalker& walker, const Limits& limits, double action,
             double sigma, Random* random) const;

  const SearchCore& core_;
  const DivergenceModel& model_;
  const StateFeatures features_;
  DdpgLearner* const learner_;
};

}  // namespace lathe

#endif  // LATHE_AGENT_POLICY_H_

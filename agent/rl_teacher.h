// What the default agent's networks learn from.
#ifndef LATHE_AGENT_RL_TEACHER_H_
#define LATHE_AGENT_RL_TEACHER_H_

#include <deque>
#include <vector>

#include "agent/archive.h"
#include "agent/budget_grid.h"
#include "agent/ddpg_learner.h"
#include "agent/divergence_model.h"
#include "agent/policy.h"
#include "agent/random.h"
#include "agent/search_core.h"

namespace lathe {

// Replays trials under budgets that they meet, and imagined plans under those
// they were made for, with rewards relabelled for each. Elites under their own
// cost, and plans that were solved for, are imitated as well. Not thread-safe.
class RlTeacher {
 public:
  // All must outlive the teacher.
  RlTeacher(const SearchCore* core, const Archive* archive,
            const DivergenceModel* model, const BudgetGrid* grid,
            const Policy* policy, DdpgLearner* learner);

  // A plan that was made for `budget` and may never be measured: its divergence
  // is what the model says when it is replayed.
  void RememberDrawn(const Choices& plan, const EpisodeBudget& budget) {
    Remember(plan, budget, &drawn_);
  }
  void RememberSolved(const Choices& plan, const EpisodeBudget& budget) {
    Remember(plan, budget, &solved_);
  }

  // A few updates of the networks. REQUIRES: the archive is not empty.
  void Teach(Random* random);

 private:
  struct Imagined {
    Choices plan;
    EpisodeBudget budget;
  };
  static void Remember(const Choices& plan, const EpisodeBudget& budget,
                       std::deque<Imagined>* plans);
  double MeanQuality() const;
  EpisodeBudget BudgetMetBy(const Evaluated& row, Random* random) const;
  void Replay(const Choices& plan, double divergence,
              const EpisodeBudget& budget, float imitation,
              std::vector<Transition>* steps) const;
  void ReplayArchive(std::vector<Transition>* steps, Random* random) const;
  void ReplayImagined(const std::deque<Imagined>& plans, float imitation,
                      std::vector<Transition>* steps, Random* random) const;

  const SearchCore& core_;
  const Archive& archive_;
  const DivergenceModel& model_;
  const BudgetGrid& grid_;
  const Policy& policy_;
  DdpgLearner* const learner_;
  double mean_quality_ = 0;
  std::deque<Imagined> drawn_;   // By the policy.
  std::deque<Imagined> solved_;  // By the solver.
};

}  // namespace lathe

#endif  // LATHE_AGENT_RL_TEACHER_H_

// Who suggests plans in a round of the default agent.
#ifndef LATHE_AGENT_PROPOSERS_H_
#define LATHE_AGENT_PROPOSERS_H_

#include <vector>

#include "absl/types/span.h"
#include "agent/accuracy_curve.h"
#include "agent/archive.h"
#include "agent/budget_grid.h"
#include "agent/divergence_model.h"
#include "agent/plan_outlook.h"
#include "agent/policy.h"
#include "agent/policy_teacher.h"
#include "agent/random.h"
#include "agent/rl_parts.h"
#include "agent/search_core.h"

namespace lathe {

enum Proposer { kPolicy, kElite, kChild, kSolver, kProposerCount };
constexpr const char* kProposerNames[] = {"policy", "elite", "child", "solver"};

struct Suggestion {
  Choices plan;
  Proposer proposer = kPolicy;
  PlanOutlook outlook;
  double score = 0;
};

// The policy for a budget, elites partly re-drawn by it, children of elites,
// and the solver of the sums of damages. What the policy has just drawn teaches
// it, too. Not thread-safe.
class Proposers {
 public:
  // All must outlive this.
  Proposers(const RlParts* parts, const SearchCore* core,
            const Archive* archive, const DivergenceModel* model,
            const AccuracyCurve* curve, const BudgetGrid* grid,
            const Policy* policy, PolicyTeacher* teacher)
      : parts_(*parts),
        core_(*core),
        archive_(*archive),
        model_(*model),
        curve_(*curve),
        grid_(*grid),
        policy_(*policy),
        teacher_(*teacher) {}

  // Unknown plans within the limits, each once; outlook and score are left.
  std::vector<Suggestion> Suggest(const EpisodeBudget& budget, Random* random);

 private:
  void Rehearse(const BudgetPrior& prior, absl::Span<const Choices> drawn);
  Choices RedrawnElite(const BudgetPrior& prior, Random* random) const;

  const RlParts& parts_;
  const SearchCore& core_;
  const Archive& archive_;
  const DivergenceModel& model_;
  const AccuracyCurve& curve_;
  const BudgetGrid& grid_;
  const Policy& policy_;
  PolicyTeacher& teacher_;
};

}  // namespace lathe

#endif  // LATHE_AGENT_PROPOSERS_H_

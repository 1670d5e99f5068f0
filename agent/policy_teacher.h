// What the default agent's policy learns from.
#ifndef LATHE_AGENT_POLICY_TEACHER_H_
#define LATHE_AGENT_POLICY_TEACHER_H_

#include <vector>

#include "absl/types/span.h"
#include "agent/archive.h"
#include "agent/choice_network.h"
#include "agent/policy.h"
#include "agent/random.h"

namespace lathe {

// Not thread-safe.
class PolicyTeacher {
 public:
  // All must outlive the teacher.
  PolicyTeacher(const Archive* archive, const DivergenceModel* model,
                const Policy* policy, ChoiceNetwork* network);

  // Relabelling: a few of the archive's best plans, each under a budget that it
  // just meets and at which nothing better is known, are made likelier: the
  // more so, the less they diverge than what the solver would answer there
  // (advantage-weighted regression, Peng et al. 2019).
  void Imitate(Random* random);

  // Policy gradient (Williams 1992) on plans drawn under one prior, with the
  // mean of the others' worths as each one's baseline (Kool et al. 2019), in
  // units of their spread. Plans that are all worth the same teach nothing.
  // REQUIRES: as many worths as plans.
  void Reinforce(const BudgetPrior& prior, absl::Span<const Choices> plans,
                 absl::Span<const double> worths);

 private:
  // e^advantage of an elite over the solver's answer, in logarithms of their
  // divergences.
  double AdvantageWeight(const Evaluated& elite,
                         const BudgetPrior& prior) const;

  const Archive& archive_;
  const DivergenceModel& model_;
  const Policy& policy_;
  ChoiceNetwork* const network_;
};

}  // namespace lathe

#endif  // LATHE_AGENT_POLICY_TEACHER_H_

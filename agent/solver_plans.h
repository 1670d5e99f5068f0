// The solver's plans for many budgets, one trial after the other.
#ifndef LATHE_AGENT_SOLVER_PLANS_H_
#define LATHE_AGENT_SOLVER_PLANS_H_

#include <cstdint>
#include <optional>
#include <vector>

#include "agent/accuracy_curve.h"
#include "agent/archive.h"
#include "agent/divergence_model.h"
#include "agent/feasibility.h"
#include "agent/random.h"
#include "agent/search_core.h"

namespace lathe {

// Not thread-safe.
class SolverPlans {
 public:
  // Adaptive: damages are fitted anew to all trials, and what a solution is
  // believed to diverge is corrected by them. Otherwise single changes alone
  // say what a plan does. `core` must outlive this.
  SolverPlans(const SearchCore* core, bool is_adaptive, uint64_t seed);

  void Add(const Evaluated& row);

  // Of the solutions for many budgets, each the plan of the least sum of
  // damages, the one that gains most; see MostGainingSolution.
  std::optional<Choices> Next();

  const Archive& archive() const { return archive_; }
  // As it was fitted last.
  const DivergenceModel& model() const { return model_; }
  // Fits the model to what was added since.
  void Fit();

 private:
  const SearchCore& core_;
  const bool is_adaptive_;
  Random random_;
  Archive archive_;
  Feasibility feasibility_;
  DivergenceModel model_;
  AccuracyCurve curve_;
  // The uncompressed model and single changes.
  std::vector<Evaluated> singles_;
  bool is_stale_ = true;
};

}  // namespace lathe

#endif  // LATHE_AGENT_SOLVER_PLANS_H_

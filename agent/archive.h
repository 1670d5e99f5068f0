// The trials an agent has learned from, as it sees them.
#ifndef LATHE_AGENT_ARCHIVE_H_
#define LATHE_AGENT_ARCHIVE_H_

#include <vector>

#include "agent/decisions.h"
#include "agent/search_core.h"
#include "agent/state_archive.h"
#include "proto/types.pb.h"

namespace lathe {

// A plan and what came of it.
struct Evaluated {
  Choices choices;
  // Objective::Quality; the least possible for an infeasible plan.
  double quality = 0;
  // From the original's outputs, nats; kInfeasibleDivergence for a plan that
  // cannot work.
  double divergence = 0;
  // As a share of the uncompressed model's; 0 for an infeasible plan.
  double accuracy_ratio = 1;
  double latency_ratio = 1;
  double size_ratio = 1;
  bool is_feasible = true;
  // From a first look: estimates, a predicted latency, the plan's size.
  bool is_looked_at = false;
  // Samples behind the accuracy, as a share of the search split.
  double weight = 1;

  // See StateArchive.
  void Visit(StateArchive& archive) {
    archive(choices);
    for (double* number : {&quality, &divergence, &accuracy_ratio,
                           &latency_ratio, &size_ratio, &weight}) {
      archive(*number);
    }
    archive(is_feasible);
    archive(is_looked_at);
  }
};

// Samples of a measurement as a share of the baseline's; 1 where either tells
// none.
double SampleShare(const v1::Measurement& measurement,
                   const v1::Measurement& baseline);

// What no plan that works comes near: the answers are those of another network.
constexpr double kInfeasibleDivergence = 4;

// `trial`, which must have ended MEASURED or INFEASIBLE with plan `choices`. An
// infeasible one has its predicted ratios.
Evaluated Evaluate(const SearchCore& core, const v1::Trial& trial,
                   const Choices& choices);

// The uncompressed model.
Evaluated EvaluatedBaseline(const SearchCore& core);

// Not thread-safe.
class Archive {
 public:
  // `core` must outlive the archive. Begins with the uncompressed model.
  explicit Archive(const SearchCore* core);

  // Takes the place of what a first look told of the same plan.
  void Add(Evaluated row);
  // Latencies of what was not timed are predictions: takes those that `core`
  // makes now.
  void PredictAnew();
  const std::vector<Evaluated>& rows() const { return rows_; }

  // Rows that are feasible, within the job's budget as measured and not
  // dominated in quality and the job's objectives; ascending by latency. When
  // none is within the budget, the same without the budget.
  const std::vector<int>& elites() const { return elites_; }

  // See StateArchive.
  void Visit(StateArchive& archive) {
    archive(rows_);
    archive(elites_);
  }

 private:
  void FindElites(bool heeds_budget);

  const SearchCore* const core_;
  std::vector<Evaluated> rows_;
  std::vector<int> elites_;
};

}  // namespace lathe

#endif  // LATHE_AGENT_ARCHIVE_H_

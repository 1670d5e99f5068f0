// Which of the plans that were only looked at are worth measuring whole.
#ifndef LATHE_AGENT_FINALISTS_H_
#define LATHE_AGENT_FINALISTS_H_

#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include "absl/types/span.h"
#include "agent/accuracy_curve.h"
#include "agent/budget_grid.h"
#include "proto/types.pb.h"

namespace lathe {

// The trials of a job with fidelity "ladder", as far as its finalists depend on
// them: trials that ended on a first look no rival ended, and which together
// would raise the frontier's volume, by what the looks tell. A plan's worth is
// its accuracy by its divergence, over all trials of the job, so that nobody
// becomes a finalist by luck with a look's few samples. Not thread-safe.
class Finalists {
 public:
  // What a finalist has to add to the volume under the frontier, as a share of
  // the hypervolume's box. With a fifth of it ResNet-20's frontier gains a
  // twentieth of a point and takes twice as many measurements
  // (experiments/evaluation).
  static constexpr double kLeastGain = 5e-4;

  // `objectives`: "latency", "size". The baseline is trial 0's measurement.
  Finalists(v1::Measurement baseline, absl::Span<const std::string> objectives);

  // Takes in a trial that has ended, or one that is to be measured whole; again
  // with the same trial changes nothing but for its end.
  void Add(const v1::Trial& trial);

  // Trials that ended on a look.
  int64_t looks() const { return static_cast<int64_t>(looks_.size()); }
  // Whether the first that Choose gives should be measured now and not at the
  // end of the search: after the first few looks, and whenever there are twice
  // as many. The agent's predictions of latency and divergence need a few
  // measurements early on, and a search that is stopped has a frontier.
  bool IsOneDue() const;

  // Numbers of the trials worth measuring whole, those first that gain most
  // beside what was measured whole and those before them.
  std::vector<int64_t> Choose() const;

 private:
  struct Row {
    int64_t number = 0;
    std::string plan_digest;
    double divergence = 0;
    double accuracy_ratio = 0;
    double latency_ratio = 0;
    double size_ratio = 0;
    bool is_beaten = false;
  };

  Row RowOf(const v1::Trial& trial) const;
  AccuracyCurve FitCurve() const;
  // Of what was measured whole.
  BudgetGrid MakeGrid(const AccuracyCurve& curve, double least_worth) const;
  std::vector<const Row*> Candidates() const;
  // The accuracy from which on a plan counts: the hypervolume's, or any where
  // no plan reaches that.
  double LeastWorth(const AccuracyCurve& curve) const;

  const v1::Measurement baseline_;
  bool has_latency_ = false;
  bool has_size_ = false;
  std::vector<Row> looks_;
  std::vector<Row> wholes_;
  std::set<int64_t> known_;  // Numbers of trials that ended.
  // Digests of plans that another trial measures whole.
  std::set<std::string> promoted_;
  // Digests of plans that were measured whole.
  std::set<std::string> measured_;
};

}  // namespace lathe

#endif  // LATHE_AGENT_FINALISTS_H_

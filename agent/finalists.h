// Which of the plans that were only looked at are worth measuring whole.
#ifndef LATHE_AGENT_FINALISTS_H_
#define LATHE_AGENT_FINALISTS_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "agent/accuracy_curve.h"
#include "agent/budget_grid.h"
#include "agent/cost_model.h"
#include "agent/decisions.h"
#include "proto/types.pb.h"

namespace lathe {

// The trials of a job with fidelity "ladder", as far as its finalists depend on
// them: trials that ended on a first look, and which together would raise the
// frontier's volume. A plan's worth is its accuracy by its divergence, over all
// trials of the job, so that nobody becomes a finalist by luck with a look's
// few samples; below kNothingToGain all are worth the same. Its latency is
// predicted by what was measured up to now, and not when it was looked at, so
// that early predictions do not stand against later measurements. Of plans
// measured whole the prediction counts as much as the measurement: machines
// change, and what was timed at another time says little of who is faster. Not
// thread-safe.
class Finalists {
 public:
  // What a finalist has to add to the volume under the frontier, as a share of
  // the hypervolume's box: twenty that add less add less together than
  // latencies and some thousand samples leave uncertain.
  static constexpr double kLeastGain = 2e-5;
  // One in so many looks may have its plan measured whole, and in short
  // searches two for each doubling of the looks, but at least kLeastWhole: a
  // whole measurement takes as long as some twenty looks, and of 30 in 400
  // trials of ResNet-20 the last ten added at most 0.0004 of the volume.
  static constexpr int64_t kLooksPerWhole = 20;
  static constexpr int64_t kLeastWhole = 4;

  // `objectives`: "latency", "size". `baseline` is trial 0's measurement.
  //
  // Errors: those of DecisionSpace::Make.
  static absl::StatusOr<std::unique_ptr<Finalists>> Make(
      const v1::SearchSpace& space, const v1::LatencyTable& latency_table,
      const v1::Measurement& baseline,
      absl::Span<const std::string> objectives);
  Finalists(const Finalists&) = delete;
  Finalists& operator=(const Finalists&) = delete;

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

  // Looks that may be measured whole beside those that are.
  int64_t Room() const;

  // Numbers of the trials worth measuring whole, those first that gain most
  // beside what was measured whole and those before them; no more than may
  // still be.
  std::vector<int64_t> Choose() const;

  // As a share of the baseline's. Nothing for a plan that is not of the space.
  std::optional<double> PredictedLatencyRatio(
      const v1::CompressionPlan& plan) const;

 private:
  struct Row {
    int64_t number = 0;
    std::string plan_digest;
    // Empty for a plan that is not of the space.
    Choices choices;
    bool is_whole = false;
    double divergence = 0;
    double accuracy_ratio = 0;
    double weight = 1;
    // As measured or, when it was looked at, predicted.
    double latency_ratio = 0;
    double size_ratio = 0;
  };

  Finalists(DecisionSpace space, const v1::LatencyTable& latency_table,
            const v1::Measurement& baseline);
  // How often the looks have doubled since the first few.
  size_t Doublings() const;
  Row RowOf(const v1::Trial& trial) const;
  // As believed now.
  double LatencyRatioOf(const Row& row) const;
  AccuracyCurve FitCurve() const;
  // Of what was measured whole.
  BudgetGrid MakeGrid(const AccuracyCurve& curve, double least_worth) const;
  // Looks that are not measured whole, with their latencies as believed now.
  std::vector<Row> Candidates() const;
  // The accuracy from which on a plan counts: the hypervolume's, or any where
  // no plan reaches that.
  double LeastWorth(const AccuracyCurve& curve) const;

  const DecisionSpace space_;
  const v1::Measurement baseline_;
  CostModel costs_;
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

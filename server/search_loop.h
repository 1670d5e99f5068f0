// One job's search: proposes, learns, ends.
#ifndef LATHE_SERVER_SEARCH_LOOP_H_
#define LATHE_SERVER_SEARCH_LOOP_H_

#include <atomic>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "absl/types/span.h"
#include "agent/finalists.h"
#include "agent/growing_frontier.h"
#include "server/agent_driver.h"
#include "server/frontier_tracker.h"
#include "server/job_control.h"
#include "server/job_explanation.h"
#include "server/metrics.h"
#include "server/signals.h"
#include "server/steady.h"
#include "server/worker_registry.h"
#include "storage/store.h"

namespace lathe {

// What a search loop works with; all must outlive it.
struct SearchLoopParts {
  Store* store = nullptr;
  JobControl* control = nullptr;
  FrontierTracker* frontiers = nullptr;
  WorkerRegistry* workers = nullptr;
  const Signals* signals = nullptr;
  Metrics* metrics = nullptr;
};

// Runs on a thread of its own, so that a thinking agent holds up nobody. All
// it knows is in the store: after an error, or a restart, it rebuilds the
// agent from its last snapshot by replay and goes on.
//
// Trial 0 comes first. Once that is measured the loop keeps two trials per
// active worker (at least two) pending until the job's trials are used, and
// lets the agent learn every trial that ends, in the order of ending. Where
// both are to be done it does a little of each in turn, so that no worker waits
// for a slow learner. A plan that was measured before in the same circumstances
// is not measured again.
//
// With fidelity "ladder" the agent's trials end on first looks, and trials of
// the loop's own measure whole what is worth it: the best of the looks after
// the first few and whenever there are twice as many, and at the end all that
// would raise the frontier (Finalists), for whom it keeps the last trials.
//
// The job ends DONE when its trials are final, or when the agent has nothing
// more to propose; FAILED when trial 0 cannot be measured, when its model or
// data turn out to be bad later, or when the agent cannot be made (an
// impossible budget).
class SearchLoop {
 public:
  // Starts at once.
  SearchLoop(std::string job, const SearchLoopParts& parts);
  // Ends after the agent's current thought.
  ~SearchLoop();
  SearchLoop(const SearchLoop&) = delete;
  SearchLoop& operator=(const SearchLoop&) = delete;

  // Lets the destructor find the loop ended sooner. Thread-safe.
  void RequestStop();
  // Looks at the job again soon. Thread-safe.
  void Wake() { wakeup_.Set(); }
  // Whether the job has ended, or was deleted. Thread-safe.
  bool has_ended() const { return has_ended_; }
  // Thread-safe.
  SearchLoopStatus status() const ABSL_LOCKS_EXCLUDED(status_mu_);

 private:
  enum class Next { kGoOn, kWait, kEnd };

  void Run();
  // Tells the status, and at the end the metrics, that the agent thinks.
  void BeginThought() ABSL_LOCKS_EXCLUDED(status_mu_);
  // How long it did.
  absl::Duration EndThought(absl::string_view thought)
      ABSL_LOCKS_EXCLUDED(status_mu_);
  void SetError(const absl::Status& error) ABSL_LOCKS_EXCLUDED(status_mu_);
  void WaitAfterError();
  // One small step of the search; nothing is lost when it fails.
  absl::StatusOr<Next> Step();
  absl::Status AddBaselineTrial();
  absl::StatusOr<Next> StepBeforeBaseline();
  // What a trial failed by is the same for all that would follow.
  absl::StatusOr<Next> FailForInput();
  // Makes the agent and replays it. False when the job failed by that.
  absl::StatusOr<bool> MakeDriver(const v1::Job& job);
  // Whether workers are about to run out of trials that the agent could
  // propose.
  bool IsShortOfTrials(const JobProgress& progress) const;
  // Lets the agent learn from `unlearned_` for a moment.
  absl::Status LearnSome();
  absl::StatusOr<Next> ProposeOrEnd(const JobProgress& progress);
  // Of a job with fidelity "ladder": begins with what `trials`, the job's so
  // far, tell.
  absl::Status MakeFinalists(absl::Span<const v1::Trial> trials);
  // Chooses `finalist_numbers_`, unless they were chosen from nearly as many
  // results, and all of them if `is_end`.
  void ChooseFinalists(bool is_end);
  bool AreAllLearned(const JobProgress& progress) const;
  // Trials that the agent may not have, since finalists will need them.
  int64_t KeptTrials(const JobProgress& progress);
  // Lets looked-at plans be measured whole where it is their turn: one now and
  // then, and at the end of the search all that are worth it. `left`: trials
  // that the job still may have. Nothing: it is the agent's turn.
  absl::StatusOr<std::optional<Next>> MeasureFinalists(
      int64_t left, const JobProgress& progress);
  // The first `count` of them.
  absl::Status AddFinalists(int64_t count);
  // Proposes up to `wanted` trials, for a moment.
  absl::StatusOr<Next> ProposeSome(int64_t wanted);
  absl::StatusOr<Next> FailForProposal(const absl::Status& why);
  // Adds proposals in their order, so that a replay makes the same calls. Those
  // whose plans were measured before are not measured again.
  absl::Status Add(std::vector<v1::Proposal> proposals);
  absl::Status AddReused(const v1::Proposal& proposal, const v1::Trial& source);
  absl::Status AddNew(std::vector<v1::Proposal>& proposals);
  // What the search begins with, before the agent's first proposal: the spec's
  // own plans, and some of earlier jobs' frontiers. Several transactions; what
  // `trials`, the job's so far, have of it is not added again.
  absl::Status AddFirstPlans(absl::Span<const v1::Trial> trials);
  // Without plans whose digests are in `known`.
  absl::Status AddWarmStart(std::set<std::string>& known);
  absl::StatusOr<std::vector<v1::Proposal>> WarmStartProposals();
  absl::StatusOr<std::vector<std::optional<v1::Trial>>> FindReusable(
      absl::Span<const v1::Proposal> proposals);

  const std::string job_;
  const SearchLoopParts parts_;
  Wakeup wakeup_;
  std::atomic<bool> is_stopping_{false};
  std::atomic<bool> has_ended_{false};

  mutable absl::Mutex status_mu_;
  SearchLoopStatus status_ ABSL_GUARDED_BY(status_mu_);

  // Used by the thread only. All but `driver_` are set with it.
  std::unique_ptr<AgentDriver> driver_;
  v1::Job job_record_;  // Its spec and baseline, which stand.
  v1::Measurement baseline_;
  std::optional<GrowingFrontier> frontier_;  // Of the job's objectives.
  // Null where every trial is measured whole at once.
  std::unique_ptr<Finalists> finalists_;
  // Trials worth measuring whole, and the results after which they were chosen;
  // none: they have to be chosen anew.
  std::vector<int64_t> finalist_numbers_;
  std::optional<int64_t> chose_after_;
  // Read from the store and not yet learned, in order.
  std::deque<v1::Trial> unlearned_;
  // Results learned at the last snapshot.
  int64_t snapshot_after_ = 0;
  bool has_learned_since_proposal_ = true;
  // What the agent thought since it last proposed.
  absl::Duration thought_ = absl::ZeroDuration();
  // The agent had nothing to propose after this many results.
  std::optional<int64_t> exhausted_after_;

  std::thread thread_;  // Last: it uses all of the above.
};

}  // namespace lathe

#endif  // LATHE_SERVER_SEARCH_LOOP_H_

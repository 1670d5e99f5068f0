// The durable truth: jobs, trials, attempts, results, events, blobs' names.
//
// Every method is one transaction; what it returns is durable. Time is an
// argument.
#ifndef LATHE_STORAGE_STORE_H_
#define LATHE_STORAGE_STORE_H_

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "proto/search.pb.h"
#include "proto/types.pb.h"
#include "proto/worker.pb.h"

namespace lathe {

// A trial with the fence under which it now runs.
struct GrantedLease {
  int64_t fence = 0;
  v1::Trial trial;
};

// Who makes a job, and how many that have not ended one may have; 0: any
// number.
struct JobCreator {
  std::string name;
  int64_t most_active_jobs = 0;
};

// A blob that somebody brought, and is charged for.
struct Upload {
  std::string digest;
  std::string creator;
  int64_t bytes = 0;
};

// What a look for a plan among a job's trials found.
struct PlanSearch {
  // The first trial with the plan.
  std::optional<v1::Trial> trial;
  // The number that the job's next trial gets.
  int64_t next_number = 0;
};

// What a session asks for.
struct LeaseWish {
  std::string session;
  v1::HardwareProfile profile;
  int count = 0;
  // Names of trials to pass over.
  std::set<std::string> held_back;
};

// An attempt that is active (after a restart: to be extended).
struct ActiveAttempt {
  int64_t fence = 0;
  std::string trial_name;
  std::string session;
};

// An attempt that ended with an outcome (not one that expired or was
// released).
struct EndedAttempt {
  int64_t fence = 0;
  std::string session;
  v1::OutcomeKind kind = v1::OUTCOME_UNSPECIFIED;
  std::string reason;
};

// An attempt as the store has it, whether it runs or has ended.
struct AttemptRecord {
  int64_t fence = 0;
  std::string trial_name;
  std::string session;
  bool is_active = false;
};

// What a look at everything in the store found.
struct IntegrityReport {
  // One line each, at most 100; empty when all is well.
  std::vector<std::string> problems;
  int64_t jobs = 0;
  int64_t trials = 0;
};

// A worker as the store remembers it across restarts.
struct WorkerRecord {
  // "workers/{worker}", the same for every call with one session.
  std::string name;
  bool is_cordoned = false;
  bool is_draining = false;
};

// How an attempt ended, written together with everything that follows from it.
struct Completion {
  int64_t fence = 0;
  std::string session;
  // The trial's new state: MEASURED, INFEASIBLE, FAILED, QUARANTINED, or
  // PENDING to try again.
  v1::TrialState state = v1::TRIAL_STATE_UNSPECIFIED;
  v1::Outcome outcome;
  // The model of a MEASURED trial; empty: none is kept.
  std::string artifact_digest;
};

// How far a job is.
struct JobProgress {
  v1::JobState state = v1::JOB_STATE_UNSPECIFIED;
  v1::TrialCounts counts;
  bool has_baseline = false;
};

// Of all jobs together.
struct JobTotals {
  std::map<v1::JobState, int64_t> jobs;
  v1::TrialCounts trials;
};

// What one creator takes up: jobs that have not ended, their trials that run,
// uploads.
struct CreatorUse {
  int64_t active_jobs = 0;
  int64_t running_trials = 0;
  int64_t blob_bytes = 0;
};

// What a completion did.
struct CompletionResult {
  v1::Trial trial;
  // False when the same fence had completed before: the stored answer.
  bool is_new = true;
};

// What the search loop decides about a trial that ended, in learn order.
struct Learned {
  std::string trial_name;
  int64_t learn_sequence = 0;
  // None: the trial was given up.
  std::optional<v1::Reward> reward;
};

// An agent's snapshot.
struct AgentState {
  // The last result that the agent had learned.
  int64_t learn_sequence = 0;
  std::string bytes;
};

template <typename T>
struct Page {
  std::vector<T> rows;
  // Empty on the last page.
  std::string next_page_token;
};

// Thread-safe.
class Store {
 public:
  virtual ~Store() = default;

  // ---- Jobs ----
  // Stores a new job in state PENDING and returns it with its name. A
  // request_id seen before returns that call's job.
  // Errors: AlreadyExists - request_id was used for another spec;
  // FailedPrecondition - the creator has as many active jobs as one may.
  virtual absl::StatusOr<v1::Job> CreateJobOf(const JobCreator& creator,
                                              const v1::JobSpec& spec,
                                              absl::string_view request_id,
                                              absl::Time now) = 0;
  // Nobody's.
  absl::StatusOr<v1::Job> CreateJob(const v1::JobSpec& spec,
                                    absl::string_view request_id,
                                    absl::Time now) {
    return CreateJobOf({}, spec, request_id, now);
  }
  // Errors: NotFound.
  virtual absl::StatusOr<v1::Job> GetJob(absl::string_view name) = 0;
  // Of the job alone, which is much less to read. Errors: NotFound.
  virtual absl::StatusOr<v1::JobState> GetJobState(absl::string_view name) = 0;
  // The same for what changes with every trial. Errors: NotFound.
  virtual absl::StatusOr<JobProgress> GetProgress(absl::string_view name) = 0;
  // Newest first, without baselines, which are large. Errors: InvalidArgument -
  // a page token of another kind.
  virtual absl::StatusOr<Page<v1::Job>> ListJobs(
      int page_size, absl::string_view page_token) = 0;
  virtual absl::StatusOr<JobTotals> CountJobs() = 0;
  // Names of jobs that have not ended, oldest first.
  virtual absl::StatusOr<std::vector<std::string>> ActiveJobs() = 0;
  // Names of jobs that ended before `time`, oldest first.
  virtual absl::StatusOr<std::vector<std::string>> JobsEndedBefore(
      absl::Time time) = 0;
  // The oldest job older than this one whose pending trials its workers could
  // take, too: they do so first. Errors: NotFound.
  virtual absl::StatusOr<std::optional<std::string>> JobAhead(
      absl::string_view name) = 0;
  // Changes the state (and adds an event). Setting the same state is OK and
  // adds none. A final state sets the job's end_time.
  // Errors: NotFound; FailedPrecondition - the job has ended.
  virtual absl::StatusOr<v1::Job> SetJobState(absl::string_view name,
                                              v1::JobState state,
                                              absl::string_view reason,
                                              absl::Time now) = 0;
  // Records what trial 0 brought; the first call wins. CompleteAttempt of a
  // MEASURED trial 0 does the same in its own transaction, from the outcome's
  // baseline and the measurement's profile. Errors: NotFound.
  virtual absl::Status SetBaseline(absl::string_view job,
                                   const v1::BaselineReport& baseline,
                                   const v1::HardwareProfile& profile) = 0;
  // Removes an ended job and all that belongs to it.
  // Errors: NotFound; FailedPrecondition - it has not ended.
  virtual absl::Status DeleteJob(absl::string_view name) = 0;

  // ---- Trials ----
  // Adds trials in state PENDING with the next free numbers.
  // Errors: NotFound; FailedPrecondition - the job has ended.
  virtual absl::StatusOr<std::vector<v1::Trial>> AddTrials(
      absl::string_view job, absl::Span<const v1::Proposal> proposals,
      absl::Time now) = 0;
  // Errors: NotFound.
  virtual absl::StatusOr<v1::Trial> GetTrial(absl::string_view name) = 0;
  // By number. Errors: NotFound; InvalidArgument - as ListJobs.
  virtual absl::StatusOr<Page<v1::Trial>> ListTrials(
      absl::string_view job, int page_size, absl::string_view page_token) = 0;
  // Looks for a plan among the job's trials from `first_number` on.
  // Errors: NotFound.
  virtual absl::StatusOr<PlanSearch> FindPlan(absl::string_view job,
                                              absl::string_view plan_digest,
                                              int64_t first_number) = 0;
  // All trials of a job by number: for replay and for the frontier.
  // Errors: NotFound.
  virtual absl::StatusOr<std::vector<v1::Trial>> AllTrials(
      absl::string_view job) = 0;
  // Those trials of a job, in the order of `numbers`.
  // Errors: NotFound - the job, or one of them.
  virtual absl::StatusOr<std::vector<v1::Trial>> GetTrials(
      absl::string_view job, absl::Span<const int64_t> numbers) = 0;
  // For each plan a measured trial of any job with the same model, dataset
  // spec, threads, batch, plan, profile and evaluator version, or none.
  virtual absl::StatusOr<std::vector<std::optional<v1::Trial>>> FindMeasured(
      const v1::JobSpec& spec, absl::Span<const std::string> plan_digests,
      const v1::HardwareProfile& profile,
      absl::string_view evaluator_version) = 0;
  // Ends a PENDING trial with another trial's measurement and artifact
  // (`reused_from`). Repeated with the same source it returns the trial.
  // Errors: NotFound; FailedPrecondition - the trial is not PENDING.
  virtual absl::StatusOr<v1::Trial> ReuseMeasurement(absl::string_view trial,
                                                     const v1::Trial& source,
                                                     absl::Time now) = 0;

  // ---- Leases ----
  // For each wish, in their order, takes up to `count` PENDING trials of
  // RUNNING or PENDING jobs, oldest job first, lowest number first, and starts
  // an attempt under a new fence for each. `profile` must equal the job's once
  // that is set (trial 0 or the spec's target sets it), threads aside: those
  // are the job's own. Trials named in `held_back` are passed over. All in one
  // transaction; an element for each wish, empty for one that gets nothing.
  // Once a profile's trials are used up, later wishes of that profile are not
  // tried. No creator gets more than StoreOptions.most_running_trials.
  virtual absl::StatusOr<std::vector<std::vector<GrantedLease>>> GrantToAll(
      absl::Span<const LeaseWish> wishes, absl::Time now) = 0;
  // One wish.
  absl::StatusOr<std::vector<GrantedLease>> GrantLeases(
      absl::string_view session, const v1::HardwareProfile& profile, int count,
      absl::Time now, const std::set<std::string>& held_back = {});
  // Creators who take up anything, by name.
  virtual absl::StatusOr<std::map<std::string, CreatorUse>> UseByCreator() = 0;
  virtual absl::StatusOr<std::vector<ActiveAttempt>> ActiveAttempts() = 0;
  // Ends attempts without a result; their trials are PENDING again. A fence
  // that is not active is skipped. `why`: "expired", "released", ...
  virtual absl::Status EndAttempts(absl::Span<const int64_t> fences,
                                   absl::string_view why, absl::Time now) = 0;
  // Ends attempts and their trials, in their order; an element for each, which
  // may fail alone. Repeated under the same fence it returns the stored trial.
  // Errors: Aborted - the fence is not active and did not complete the trial.
  virtual std::vector<absl::StatusOr<CompletionResult>> CompleteAttempts(
      absl::Span<const Completion> completions, absl::Time now) = 0;
  // One completion.
  absl::StatusOr<CompletionResult> CompleteAttempt(const Completion& completion,
                                                   absl::Time now) {
    return std::move(CompleteAttempts({completion}, now)[0]);
  }
  // Errors: NotFound - never granted, or its job was deleted.
  virtual absl::StatusOr<AttemptRecord> GetAttempt(int64_t fence) = 0;
  // All attempts of a trial that ended with an outcome, by fence: which worker
  // failed how. Errors: NotFound.
  virtual absl::StatusOr<std::vector<EndedAttempt>> EndedAttempts(
      absl::string_view trial) = 0;

  // ---- Workers ----
  // Remembers a worker's session; again with the same session it returns the
  // first call's record with the new capabilities stored.
  virtual absl::StatusOr<WorkerRecord> RecordWorker(
      absl::string_view session, const v1::Capabilities& capabilities,
      absl::Time now) = 0;
  // Errors: NotFound.
  virtual absl::Status SetCordoned(absl::string_view worker,
                                   bool is_cordoned) = 0;
  // Errors: NotFound.
  virtual absl::Status SetDraining(absl::string_view worker) = 0;
  // Forgets workers that registered last before `before`, except those of
  // `live_sessions`. Returns how many.
  virtual absl::StatusOr<int64_t> ForgetWorkers(
      absl::Time before, const std::set<std::string>& live_sessions) = 0;

  // ---- Uploads ----
  // Whoever brings a blob first is charged.
  virtual absl::Status RecordUpload(const Upload& upload) = 0;
  virtual absl::StatusOr<int64_t> UploadedBytes(absl::string_view creator) = 0;
  // The blobs are gone.
  virtual absl::Status ForgetUploads(absl::Span<const std::string> digests) = 0;

  // ---- Learning ----
  // Ended trials of the job without a learn sequence, in the order in which
  // they ended.
  virtual absl::StatusOr<std::vector<v1::Trial>> Unlearned(
      absl::string_view job) = 0;
  // Records rewards and learn sequences, and, in the same transaction, the
  // frontier's trial numbers.
  virtual absl::Status RecordLearned(absl::string_view job,
                                     absl::Span<const Learned> learned,
                                     absl::Span<const int64_t> frontier) = 0;
  // The numbers of the job's frontier trials, ascending, as last recorded.
  // Errors: NotFound.
  virtual absl::StatusOr<std::vector<int64_t>> FrontierNumbers(
      absl::string_view job) = 0;
  // A snapshot that shortens replay: the agent after `learn_sequence`. It may
  // be lost or behind the trials, which always win.
  virtual absl::Status SaveAgentState(absl::string_view job,
                                      int64_t learn_sequence,
                                      absl::string_view state) = 0;
  virtual absl::StatusOr<std::optional<AgentState>> LoadAgentState(
      absl::string_view job) = 0;

  // ---- Events ----
  // Events of a job after `sequence`, at most `limit`. State, reason and
  // counts are those of the event's time; the rest of a trial that has ended
  // (reward, learn_sequence, artifact) is as it stands now.
  // Errors: NotFound.
  virtual absl::StatusOr<std::vector<v1::Event>> EventsAfter(
      absl::string_view job, int64_t sequence, int limit) = 0;

  // ---- Whole ----
  // Digests of all blobs that a job refers to (model, data, activation
  // statistics, artifacts), ascending, once each.
  virtual absl::StatusOr<std::vector<std::string>> ReferencedBlobs() = 0;
  // An online copy into a new file; returns its bytes. Nothing is left behind
  // on failure. Errors: AlreadyExists; NotFound - no such folder;
  // ResourceExhausted - disk full.
  virtual absl::StatusOr<int64_t> Backup(const std::string& path) = 0;
  // Reads everything and checks what must hold whatever happened: SQLite's own
  // checks, and that trials, attempts, measurements, counts, events, learn
  // sequences and budgets agree (storage/integrity.h).
  virtual absl::StatusOr<IntegrityReport> CheckIntegrity() = 0;
  virtual int schema_version() const = 0;
};

}  // namespace lathe

#endif  // LATHE_STORAGE_STORE_H_

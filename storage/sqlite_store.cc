#include "storage/sqlite_store.h"

#include <sys/stat.h>

#include <cerrno>
#include <functional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/file.h"
#include "base/status.h"
#include "storage/creator_table.h"
#include "storage/event_table.h"
#include "storage/integrity.h"
#include "storage/job_table.h"
#include "storage/learning_table.h"
#include "storage/lease_table.h"
#include "storage/overview_table.h"
#include "storage/read_pool.h"
#include "storage/resource_names.h"
#include "storage/schema.h"
#include "storage/sqlite.h"
#include "storage/state_lock.h"
#include "storage/trial_table.h"
#include "storage/worker_table.h"
#include "storage/write_queue.h"

namespace lathe::storage {
namespace {

// Queries take well under a millisecond each; more connections than this only
// cost memory.
constexpr int kReadConnections = 6;

// The writer's page cache, in KiB (negative as SQLite wants it): the indexes
// of a job of 100,000 trials fit. A checkpoint every 32 MiB of log writes each
// page that many commits changed once.
constexpr char kWriterPragmas[] =
    "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; "
    "PRAGMA foreign_keys = ON; PRAGMA temp_store = MEMORY; "
    "PRAGMA cache_size = -65536; PRAGMA wal_autocheckpoint = 8192;";

// Passes every call, as one transaction, to the functions of the tables.
class SqliteStore : public Store {
 public:
  SqliteStore(std::unique_ptr<StateLock> lock, std::unique_ptr<Database> writer,
              std::unique_ptr<ReadPool> readers, const StoreOptions& options)
      : most_running_trials_(options.most_running_trials),
        lock_(std::move(lock)),
        writer_(std::move(writer), options.on_commit),
        readers_(std::move(readers)) {}

  absl::StatusOr<v1::Job> CreateJobOf(const JobCreator& creator,
                                      const v1::JobSpec& spec,
                                      absl::string_view request_id,
                                      absl::Time now) override {
    return Write<v1::Job>([&](Database& db) {
      return InsertJob(db, creator, spec, request_id, now);
    });
  }

  absl::StatusOr<v1::Job> GetJob(absl::string_view name) override {
    LATHE_ASSIGN_OR_RETURN(int64_t job, ParseJobName(name));
    return Read<v1::Job>([&](Database& db) { return ReadJob(db, job); });
  }

  absl::StatusOr<v1::JobState> GetJobState(absl::string_view name) override {
    LATHE_ASSIGN_OR_RETURN(int64_t job, ParseJobName(name));
    return Read<v1::JobState>(
        [&](Database& db) { return ReadJobState(db, job); });
  }

  absl::StatusOr<JobProgress> GetProgress(absl::string_view name) override {
    LATHE_ASSIGN_OR_RETURN(int64_t job, ParseJobName(name));
    return Read<JobProgress>(
        [&](Database& db) { return ReadJobProgress(db, job); });
  }

  absl::StatusOr<Page<v1::Job>> ListJobs(
      int page_size, absl::string_view page_token) override {
    return Read<Page<v1::Job>>(
        [&](Database& db) { return ReadJobs(db, page_size, page_token); });
  }

  absl::StatusOr<JobTotals> CountJobs() override {
    return Read<JobTotals>(ReadJobTotals);
  }
  absl::StatusOr<std::vector<std::string>> ActiveJobs() override {
    return Read<std::vector<std::string>>(ReadActiveJobs);
  }
  absl::StatusOr<std::vector<std::string>> JobsEndedBefore(
      absl::Time time) override {
    return Read<std::vector<std::string>>(
        [&](Database& db) { return ReadJobsEndedBefore(db, time); });
  }

  absl::StatusOr<std::optional<std::string>> JobAhead(
      absl::string_view name) override {
    LATHE_ASSIGN_OR_RETURN(int64_t job, ParseJobName(name));
    return Read<std::optional<std::string>>(
        [&](Database& db) { return ReadJobAhead(db, job); });
  }

  absl::StatusOr<v1::Job> SetJobState(absl::string_view name,
                                      v1::JobState state,
                                      absl::string_view reason,
                                      absl::Time now) override {
    LATHE_ASSIGN_OR_RETURN(int64_t job, ParseJobName(name));
    return Write<v1::Job>([&](Database& db) {
      return UpdateJobState(db, job, state, reason, now);
    });
  }

  absl::Status SetBaseline(absl::string_view name,
                           const v1::BaselineReport& baseline,
                           const v1::HardwareProfile& profile) override {
    LATHE_ASSIGN_OR_RETURN(int64_t job, ParseJobName(name));
    return writer_.Run([&](Database& db) {
      return UpdateBaseline(db, job, baseline, profile);
    });
  }

  absl::Status DeleteJob(absl::string_view name) override {
    LATHE_ASSIGN_OR_RETURN(int64_t job, ParseJobName(name));
    return writer_.Run([&](Database& db) { return EraseJob(db, job); });
  }

  absl::StatusOr<std::vector<v1::Trial>> AddTrials(
      absl::string_view name, absl::Span<const v1::Proposal> proposals,
      absl::Time now) override {
    LATHE_ASSIGN_OR_RETURN(int64_t job, ParseJobName(name));
    return Write<std::vector<v1::Trial>>(
        [&](Database& db) { return InsertTrials(db, job, proposals, now); });
  }

  absl::StatusOr<v1::Trial> GetTrial(absl::string_view name) override {
    LATHE_ASSIGN_OR_RETURN(TrialId trial, ParseTrialName(name));
    return Read<v1::Trial>([&](Database& db) { return ReadTrial(db, trial); });
  }

  absl::StatusOr<Page<v1::Trial>> ListTrials(
      absl::string_view name, int page_size,
      absl::string_view page_token) override {
    LATHE_ASSIGN_OR_RETURN(int64_t job, ParseJobName(name));
    return Read<Page<v1::Trial>>([&](Database& db) {
      return ReadTrials(db, job, page_size, page_token);
    });
  }

  absl::StatusOr<PlanSearch> FindPlan(absl::string_view name,
                                      absl::string_view plan_digest,
                                      int64_t first_number) override {
    LATHE_ASSIGN_OR_RETURN(int64_t job, ParseJobName(name));
    return Read<PlanSearch>([&](Database& db) {
      return FindTrialOfPlan(db, {job, first_number}, plan_digest);
    });
  }

  absl::StatusOr<std::vector<v1::Trial>> AllTrials(
      absl::string_view name) override {
    LATHE_ASSIGN_OR_RETURN(int64_t job, ParseJobName(name));
    return Read<std::vector<v1::Trial>>(
        [&](Database& db) { return ReadAllTrials(db, job); }, ReadPool::kLong);
  }

  absl::StatusOr<std::vector<v1::Trial>> GetTrials(
      absl::string_view name, absl::Span<const int64_t> numbers) override {
    LATHE_ASSIGN_OR_RETURN(int64_t job, ParseJobName(name));
    return Read<std::vector<v1::Trial>>(
        [&](Database& db) { return ReadTheseTrials(db, job, numbers); });
  }

  absl::StatusOr<std::vector<std::optional<v1::Trial>>> FindMeasured(
      const v1::JobSpec& spec, absl::Span<const std::string> plan_digests,
      const v1::HardwareProfile& profile,
      absl::string_view evaluator_version) override {
    std::vector<std::string> keys;
    for (const std::string& plan : plan_digests) {
      keys.push_back(ReuseKey(spec, plan, profile, evaluator_version));
    }
    return Read<std::vector<std::optional<v1::Trial>>>(
        [&](Database& db) { return FindByReuseKeys(db, keys); });
  }

  absl::StatusOr<v1::Trial> ReuseMeasurement(absl::string_view name,
                                             const v1::Trial& source,
                                             absl::Time now) override {
    LATHE_ASSIGN_OR_RETURN(TrialId trial, ParseTrialName(name));
    return Write<v1::Trial>(
        [&](Database& db) { return CopyMeasurement(db, trial, source, now); });
  }

  absl::StatusOr<std::vector<std::vector<GrantedLease>>> GrantToAll(
      absl::Span<const LeaseWish> wishes, absl::Time now) override {
    return Write<std::vector<std::vector<GrantedLease>>>([&](Database& db) {
      return StartAttemptsForAll(db, wishes, most_running_trials_, now);
    });
  }

  absl::StatusOr<std::map<std::string, CreatorUse>> UseByCreator() override {
    return Read<std::map<std::string, CreatorUse>>(ReadUseByCreator);
  }

  absl::StatusOr<std::vector<ActiveAttempt>> ActiveAttempts() override {
    return Read<std::vector<ActiveAttempt>>(ReadActiveAttempts);
  }

  absl::Status EndAttempts(absl::Span<const int64_t> fences,
                           absl::string_view why, absl::Time now) override {
    return writer_.Run(
        [&](Database& db) { return AbandonAttempts(db, fences, why, now); });
  }

  std::vector<absl::StatusOr<CompletionResult>> CompleteAttempts(
      absl::Span<const Completion> completions, absl::Time now) override {
    using Results = std::vector<absl::StatusOr<CompletionResult>>;
    absl::StatusOr<Results> results = Write<Results>(
        [&](Database& db) { return FinishAttempts(db, completions, now); });
    if (results.ok()) return *std::move(results);
    if (completions.size() == 1) return {results.status()};
    // Of several, one that cannot be stored must not take the others with it.
    Results each;
    for (const Completion& completion : completions) {
      each.push_back(CompleteAttempt(completion, now));
    }
    return each;
  }

  absl::StatusOr<AttemptRecord> GetAttempt(int64_t fence) override {
    return Read<AttemptRecord>(
        [&](Database& db) { return ReadAttempt(db, fence); });
  }

  absl::StatusOr<std::vector<EndedAttempt>> EndedAttempts(
      absl::string_view name) override {
    LATHE_ASSIGN_OR_RETURN(TrialId trial, ParseTrialName(name));
    return Read<std::vector<EndedAttempt>>(
        [&](Database& db) { return ReadEndedAttempts(db, trial); });
  }

  absl::StatusOr<WorkerRecord> RecordWorker(
      absl::string_view session, const v1::Capabilities& capabilities,
      absl::Time now) override {
    return Write<WorkerRecord>([&](Database& db) {
      return UpsertWorker(db, session, capabilities, now);
    });
  }

  absl::Status SetCordoned(absl::string_view name, bool is_cordoned) override {
    LATHE_ASSIGN_OR_RETURN(int64_t worker, ParseWorkerName(name));
    return writer_.Run(
        [&](Database& db) { return UpdateCordoned(db, worker, is_cordoned); });
  }

  absl::Status SetDraining(absl::string_view name) override {
    LATHE_ASSIGN_OR_RETURN(int64_t worker, ParseWorkerName(name));
    return writer_.Run(
        [&](Database& db) { return UpdateDraining(db, worker); });
  }

  absl::StatusOr<int64_t> ForgetWorkers(
      absl::Time before, const std::set<std::string>& live_sessions) override {
    return Write<int64_t>(
        [&](Database& db) { return EraseWorkers(db, before, live_sessions); });
  }

  absl::Status RecordUpload(const Upload& upload) override {
    return writer_.Run([&](Database& db) { return InsertUpload(db, upload); });
  }

  absl::StatusOr<int64_t> UploadedBytes(absl::string_view creator) override {
    return Read<int64_t>(
        [&](Database& db) { return ReadUploadedBytes(db, creator); });
  }

  absl::Status ForgetUploads(absl::Span<const std::string> digests) override {
    return writer_.Run([&](Database& db) { return EraseUploads(db, digests); });
  }

  absl::StatusOr<std::vector<v1::Trial>> Unlearned(
      absl::string_view name) override {
    LATHE_ASSIGN_OR_RETURN(int64_t job, ParseJobName(name));
    return Read<std::vector<v1::Trial>>(
        [&](Database& db) { return ReadUnlearned(db, job); });
  }

  absl::Status RecordLearned(absl::string_view name,
                             absl::Span<const Learned> learned,
                             absl::Span<const int64_t> frontier) override {
    LATHE_ASSIGN_OR_RETURN(int64_t job, ParseJobName(name));
    return writer_.Run([&](Database& db) {
      LATHE_RETURN_IF_ERROR(InsertLearned(db, job, learned));
      return ReplaceFrontier(db, job, frontier);
    });
  }

  absl::StatusOr<std::vector<int64_t>> FrontierNumbers(
      absl::string_view name) override {
    LATHE_ASSIGN_OR_RETURN(int64_t job, ParseJobName(name));
    return Read<std::vector<int64_t>>(
        [&](Database& db) { return ReadFrontier(db, job); });
  }

  absl::Status SaveAgentState(absl::string_view name, int64_t learn_sequence,
                              absl::string_view state) override {
    LATHE_ASSIGN_OR_RETURN(int64_t job, ParseJobName(name));
    return writer_.Run([&](Database& db) {
      return ReplaceAgentState(db, job, learn_sequence, state);
    });
  }

  absl::StatusOr<std::optional<AgentState>> LoadAgentState(
      absl::string_view name) override {
    LATHE_ASSIGN_OR_RETURN(int64_t job, ParseJobName(name));
    return Read<std::optional<AgentState>>(
        [&](Database& db) { return ReadAgentState(db, job); });
  }

  absl::StatusOr<std::vector<v1::Event>> EventsAfter(absl::string_view name,
                                                     int64_t sequence,
                                                     int limit) override {
    LATHE_ASSIGN_OR_RETURN(int64_t job, ParseJobName(name));
    return Read<std::vector<v1::Event>>(
        [&](Database& db) { return ReadEvents(db, job, sequence, limit); });
  }

  absl::StatusOr<std::vector<std::string>> ReferencedBlobs() override {
    return Read<std::vector<std::string>>(ReadReferencedBlobs, ReadPool::kLong);
  }

  absl::StatusOr<int64_t> Backup(const std::string& path) override {
    return Read<int64_t>(
        [&](Database& db) -> absl::StatusOr<int64_t> {
          LATHE_RETURN_IF_ERROR(db.CopyTo(path));
          struct stat info;
          if (stat(path.c_str(), &info) != 0) return ErrnoToStatus(errno, path);
          return info.st_size;
        },
        ReadPool::kLong);
  }

  absl::StatusOr<IntegrityReport> CheckIntegrity() override {
    return Read<IntegrityReport>(CheckDatabase, ReadPool::kLong);
  }

  int schema_version() const override { return NewestSchemaVersion(); }

 private:
  template <typename T>
  absl::StatusOr<T> Write(std::function<absl::StatusOr<T>(Database&)> write) {
    return writer_.RunFor<T>(std::move(write));
  }
  template <typename T>
  absl::StatusOr<T> Read(std::function<absl::StatusOr<T>(Database&)> read,
                         ReadPool::Length length = ReadPool::kShort) {
    return readers_->Run<T>(std::move(read), length);
  }

  const int64_t most_running_trials_;
  // Destroyed last to first: the writer closes after the readers, so that it
  // empties the log, and the lock goes last.
  const std::unique_ptr<StateLock> lock_;
  WriteQueue writer_;
  const std::unique_ptr<ReadPool> readers_;
};

absl::StatusOr<std::unique_ptr<Store>> Open(const StoreOptions& options) {
  LATHE_RETURN_IF_ERROR(MakeFolders(options.folder));
  LATHE_ASSIGN_OR_RETURN(std::unique_ptr<StateLock> lock,
                         StateLock::Acquire(options.folder));
  const std::string path = absl::StrCat(options.folder, "/lathe.db");
  LATHE_ASSIGN_OR_RETURN(std::unique_ptr<Database> writer,
                         Database::Open(path, Database::Mode::kCreate));
  // Before anything is written: a file of somebody else's stays as it is.
  LATHE_ASSIGN_OR_RETURN(const int version, SchemaVersion(*writer));
  if (options.is_for_inspection && version != NewestSchemaVersion()) {
    return absl::FailedPreconditionError(absl::StrCat(
        path, " has schema version ", version, ", not ", NewestSchemaVersion(),
        "; start the server once to bring it up to date"));
  }
  LATHE_RETURN_IF_ERROR(CheckIsSound(*writer));
  LATHE_RETURN_IF_ERROR(writer->RunScript(kWriterPragmas));
  LATHE_RETURN_IF_ERROR(Migrate(*writer, SchemaScripts()));
  LATHE_ASSIGN_OR_RETURN(std::unique_ptr<ReadPool> readers,
                         ReadPool::Open(path, kReadConnections));
  return std::unique_ptr<Store>(std::make_unique<SqliteStore>(
      std::move(lock), std::move(writer), std::move(readers), options));
}

}  // namespace
}  // namespace lathe::storage

namespace lathe {

absl::StatusOr<std::unique_ptr<Store>> OpenStore(const StoreOptions& options) {
  return storage::Open(options);
}

}  // namespace lathe

#include "storage/learning_table.h"

#include <set>
#include <string>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "storage/job_table.h"
#include "storage/resource_names.h"
#include "storage/trial_table.h"

namespace lathe::storage {
namespace {

// The learn sequence of a trial that may be learned: NULL reads as none.
struct LearnedRow {
  int64_t id = 0;
  std::optional<int64_t> sequence;
};

absl::StatusOr<LearnedRow> FindEnded(Database& db, int64_t job,
                                     const std::string& name) {
  LATHE_ASSIGN_OR_RETURN(TrialId trial, ParseTrialName(name));
  Statement row = db.Query(
      "SELECT id, learn_sequence, end_sequence FROM trials "
      "WHERE job = ? AND number = ?",
      trial.job, trial.number);
  const bool is_found = row.Next();
  LATHE_RETURN_IF_ERROR(row.status());
  if (!is_found || trial.job != job) {
    return NoSuch(absl::StrCat("trial of ", JobName(job)), name);
  }
  if (row.IsNull(2)) {
    return absl::FailedPreconditionError(
        absl::StrCat(name, " has not ended; nothing can be learned from it"));
  }
  LearnedRow learned;
  learned.id = row.Int(0);
  if (!row.IsNull(1)) learned.sequence = row.Int(1);
  return learned;
}

absl::Status InsertOneLearned(Database& db, int64_t job,
                              const Learned& learned) {
  LATHE_ASSIGN_OR_RETURN(LearnedRow row,
                         FindEnded(db, job, learned.trial_name));
  if (row.sequence.value_or(learned.learn_sequence) != learned.learn_sequence) {
    return absl::FailedPreconditionError(
        absl::StrCat(learned.trial_name, " was learned as number ",
                     *row.sequence, ", not ", learned.learn_sequence));
  }
  LATHE_RETURN_IF_ERROR(
      db.Run("UPDATE trials SET learn_sequence = ? WHERE id = ?",
             learned.learn_sequence, row.id));
  if (!learned.reward.has_value()) return absl::OkStatus();
  return db.Run("INSERT OR REPLACE INTO rewards (trial, reward) VALUES (?, ?)",
                row.id, Blob(*learned.reward));
}

}  // namespace

absl::StatusOr<std::vector<v1::Trial>> ReadUnlearned(Database& db,
                                                     int64_t job) {
  LATHE_RETURN_IF_ERROR(ReadJobState(db, job).status());
  Statement rows = db.Query(
      absl::StrCat("SELECT ", kTrialColumns, kTrialResults,
                   " FROM trials t INDEXED BY trials_unlearned ", kTrialJoins,
                   " WHERE t.job = ? AND t.learn_sequence IS NULL "
                   "AND t.state >= 3 ORDER BY t.end_sequence"),
      job);
  std::vector<v1::Trial> trials;
  while (rows.Next()) trials.push_back(TrialOf(rows));
  LATHE_RETURN_IF_ERROR(rows.status());
  return trials;
}

absl::Status InsertLearned(Database& db, int64_t job,
                           absl::Span<const Learned> learned) {
  for (const Learned& one : learned) {
    LATHE_RETURN_IF_ERROR(InsertOneLearned(db, job, one));
  }
  return absl::OkStatus();
}

absl::Status ReplaceFrontier(Database& db, int64_t job,
                             absl::Span<const int64_t> numbers) {
  LATHE_ASSIGN_OR_RETURN(std::vector<int64_t> old, ReadFrontier(db, job));
  const std::set<int64_t> stored(old.begin(), old.end());
  const std::set<int64_t> wanted(numbers.begin(), numbers.end());
  // Most of a frontier stays from one result to the next.
  for (const int64_t number : stored) {
    if (wanted.count(number) != 0) continue;
    LATHE_RETURN_IF_ERROR(db.Run(
        "DELETE FROM frontier WHERE job = ? AND number = ?", job, number));
  }
  for (const int64_t number : wanted) {
    if (stored.count(number) != 0) continue;
    LATHE_RETURN_IF_ERROR(ReadTrialRow(db, {job, number}).status());
    LATHE_RETURN_IF_ERROR(db.Run(
        "INSERT INTO frontier (job, number) VALUES (?, ?)", job, number));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<int64_t>> ReadFrontier(Database& db, int64_t job) {
  LATHE_RETURN_IF_ERROR(ReadJobState(db, job).status());
  Statement rows = db.Query(
      "SELECT number FROM frontier WHERE job = ? ORDER BY number", job);
  std::vector<int64_t> numbers;
  while (rows.Next()) numbers.push_back(rows.Int(0));
  LATHE_RETURN_IF_ERROR(rows.status());
  return numbers;
}

absl::Status ReplaceAgentState(Database& db, int64_t job,
                               int64_t learn_sequence,
                               absl::string_view state) {
  LATHE_RETURN_IF_ERROR(ReadJobState(db, job).status());
  return db.Run(
      "INSERT OR REPLACE INTO agent_state (job, learn_sequence, state) "
      "VALUES (?, ?, ?)",
      job, learn_sequence, Blob(std::string(state)));
}

absl::StatusOr<std::optional<AgentState>> ReadAgentState(Database& db,
                                                         int64_t job) {
  LATHE_RETURN_IF_ERROR(ReadJobState(db, job).status());
  Statement row = db.Query(
      "SELECT learn_sequence, state FROM agent_state WHERE job = ?", job);
  std::optional<AgentState> state;
  if (row.Next()) state = AgentState{row.Int(0), row.Text(1)};
  LATHE_RETURN_IF_ERROR(row.status());
  return state;
}

}  // namespace lathe::storage

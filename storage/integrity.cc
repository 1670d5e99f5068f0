#include "storage/integrity.h"

#include <cstddef>
#include <string>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "storage/resource_names.h"

namespace lathe::storage {
namespace {

constexpr size_t kMostProblems = 100;

// A rule and the query for what breaks it: job, a number that tells where
// (usually a trial's), and what was found.
struct Rule {
  const char* text;
  const char* query;
};

// States: 1 pending, 2 leased, 3 measured, 4 infeasible, 5 failed, 6
// quarantined. Outcomes: 1 measured, 2 infeasible.
constexpr Rule kRules[] = {
    {"a measured trial has exactly one measurement, every other none",
     "SELECT t.job, t.number, t.state FROM trials t "
     "LEFT JOIN measurements m ON m.trial = t.id "
     "WHERE (t.state = 3) != (m.trial IS NOT NULL)"},
    {"a leased trial has exactly one active attempt, every other none",
     "SELECT t.job, t.number, count(a.fence) FROM trials t "
     "LEFT JOIN attempts a ON a.trial = t.id AND a.is_active = 1 "
     "GROUP BY t.id HAVING count(a.fence) != (t.state = 2)"},
    {"a measured trial was completed as such by one attempt, or reused",
     "SELECT t.job, t.number, count(a.fence) FROM trials t "
     "LEFT JOIN attempts a ON a.trial = t.id AND a.outcome = 1 "
     "GROUP BY t.id HAVING count(a.fence) != "
     "(t.state = 3 AND t.reused_from = '')"},
    {"an infeasible trial was completed as such by one attempt",
     "SELECT t.job, t.number, count(a.fence) FROM trials t "
     "LEFT JOIN attempts a ON a.trial = t.id AND a.outcome = 2 "
     "GROUP BY t.id HAVING count(a.fence) != (t.state = 4)"},
    {"a trial counts its attempts",
     "SELECT t.job, t.number, t.attempts FROM trials t "
     "WHERE t.attempts != (SELECT count(*) FROM attempts a "
     "WHERE a.trial = t.id)"},
    {"an attempt ends after it starts, and not while it is active",
     "SELECT t.job, t.number, a.fence FROM attempts a "
     "JOIN trials t ON t.id = a.trial "
     "WHERE (a.is_active = 1) != (a.end_time_us IS NULL)"},
    {"an ended trial has the event that ended it, every other none",
     "SELECT t.job, t.number, t.state FROM trials t "
     "LEFT JOIN events e ON e.job = t.job AND e.sequence = t.end_sequence "
     "AND e.number = t.number AND e.state = t.state "
     "WHERE (t.state IN (1, 2)) != (t.end_sequence IS NULL) "
     "OR (t.end_sequence IS NOT NULL AND e.sequence IS NULL)"},
    {"the last event of a trial tells its state",
     "SELECT t.job, t.number, t.state FROM trials t WHERE t.state != "
     "(SELECT e.state FROM events e WHERE e.job = t.job AND "
     "e.number = t.number ORDER BY e.sequence DESC LIMIT 1)"},
    {"no trial ends twice",
     "SELECT e.job, e.number, count(*) FROM events e "
     "WHERE e.number IS NOT NULL AND e.state IN (3, 4, 5, 6) "
     "GROUP BY e.job, e.number HAVING count(*) > 1"},
    {"events are numbered from 1 without gaps",
     "SELECT c.job, c.last_sequence, count(e.sequence) FROM counts c "
     "LEFT JOIN events e ON e.job = c.job GROUP BY c.job "
     "HAVING count(e.sequence) != c.last_sequence "
     "OR ifnull(min(e.sequence), 1) != 1 "
     "OR ifnull(max(e.sequence), 0) != c.last_sequence"},
    {"the counts of a job count its trials",
     "SELECT c.job, 0, count(t.id) FROM counts c "
     "LEFT JOIN trials t ON t.job = c.job GROUP BY c.job "
     "HAVING ifnull(sum(t.state = 1), 0) != c.pending "
     "OR ifnull(sum(t.state = 2), 0) != c.leased "
     "OR ifnull(sum(t.state = 3), 0) != c.measured "
     "OR ifnull(sum(t.state = 4), 0) != c.infeasible "
     "OR ifnull(sum(t.state = 5), 0) != c.failed "
     "OR ifnull(sum(t.state = 6), 0) != c.quarantined"},
    {"trials are numbered from 0 without gaps",
     "SELECT c.job, c.next_number, count(t.id) FROM counts c "
     "LEFT JOIN trials t ON t.job = c.job GROUP BY c.job "
     "HAVING count(t.id) != c.next_number "
     "OR ifnull(max(t.number) + 1, 0) != c.next_number"},
    {"learn sequences are numbered from 1 without gaps",
     "SELECT job, max(learn_sequence), count(DISTINCT learn_sequence) "
     "FROM trials WHERE learn_sequence IS NOT NULL GROUP BY job "
     "HAVING count(*) != max(learn_sequence) OR min(learn_sequence) != 1 "
     "OR count(DISTINCT learn_sequence) != count(*)"},
    {"a learned trial has ended, and has a reward if it has a result",
     "SELECT t.job, t.number, t.state FROM trials t "
     "LEFT JOIN rewards r ON r.trial = t.id WHERE "
     "(t.learn_sequence IS NOT NULL AND t.state IN (3, 4)) "
     "!= (r.trial IS NOT NULL) "
     "OR (t.learn_sequence IS NOT NULL AND t.state IN (1, 2))"},
    {"a frontier member is a measured trial",
     "SELECT f.job, f.number, ifnull(t.state, 0) FROM frontier f "
     "LEFT JOIN trials t ON t.job = f.job AND t.number = f.number "
     "WHERE ifnull(t.state, 0) != 3"},
    {"a job with a measured trial 0 has a baseline",
     "SELECT t.job, t.number, t.state FROM trials t "
     "JOIN jobs j ON j.id = t.job "
     "WHERE t.number = 0 AND t.state = 3 AND j.baseline IS NULL"},
    // 4 DONE, 5 CANCELLED, 6 FAILED.
    {"a job that is done has no open trial, and one that ended says when",
     "SELECT j.id, c.pending, c.leased FROM jobs j "
     "JOIN counts c ON c.job = j.id "
     "WHERE (j.state = 4 AND c.pending + c.leased > 0) "
     "OR (j.state IN (4, 5, 6)) != (j.end_time_us IS NOT NULL)"},
};

class Check {
 public:
  explicit Check(Database& db) : db_(db) {}

  absl::StatusOr<IntegrityReport> Run() {
    LATHE_RETURN_IF_ERROR(RunPragma("PRAGMA integrity_check(20)"));
    LATHE_RETURN_IF_ERROR(RunForeignKeys());
    for (const Rule& rule : kRules) LATHE_RETURN_IF_ERROR(RunRule(rule));
    LATHE_RETURN_IF_ERROR(CheckBudgets());
    LATHE_ASSIGN_OR_RETURN(report_.jobs, Count("jobs"));
    LATHE_ASSIGN_OR_RETURN(report_.trials, Count("trials"));
    return std::move(report_);
  }

 private:
  void Add(std::string problem) {
    if (report_.problems.size() < kMostProblems) {
      report_.problems.push_back(std::move(problem));
    }
  }

  absl::StatusOr<int64_t> Count(absl::string_view table) {
    LATHE_ASSIGN_OR_RETURN(
        const auto count,
        db_.QueryInt(absl::StrCat("SELECT count(*) FROM ", table)));
    return count.value_or(0);
  }

  absl::Status RunPragma(const char* pragma) {
    Statement rows = db_.Query(pragma);
    while (rows.Next()) {
      if (rows.Text(0) != "ok") Add(absl::StrCat("SQLite: ", rows.Text(0)));
    }
    return rows.status();
  }

  absl::Status RunForeignKeys() {
    Statement rows = db_.Query("PRAGMA foreign_key_check");
    while (rows.Next()) {
      Add(absl::StrCat("a row of ", rows.Text(0), " refers to no row of ",
                       rows.Text(2)));
    }
    return rows.status();
  }

  absl::Status RunRule(const Rule& rule) {
    Statement rows = db_.Query(rule.query);
    while (rows.Next()) {
      Add(absl::StrCat(JobName(rows.Int(0)), " (", rows.Int(1),
                       "): ", rule.text, "; found ", rows.Int(2)));
    }
    return rows.status();
  }

  // The agent's trials are no more than the job has; a user's come on top.
  absl::Status CheckBudgets() {
    Statement rows = db_.Query(
        "SELECT j.id, j.spec, t.proposal FROM jobs j "
        "JOIN trials t ON t.job = j.id ORDER BY j.id");
    int64_t job = 0;
    int64_t proposed = 0;
    v1::JobSpec spec;
    while (rows.Next()) {
      if (rows.Int(0) != job) {
        job = rows.Int(0);
        proposed = 0;
        rows.Parse(1, &spec);
      }
      v1::Proposal proposal;
      rows.Parse(2, &proposal);
      proposed += proposal.source() != "user";
      if (proposed == spec.trials() + 1) {
        Add(absl::StrCat(JobName(job), ": more trials were proposed than the ",
                         spec.trials(), " that it has"));
      }
    }
    return rows.status();
  }

  Database& db_;
  IntegrityReport report_;
};

}  // namespace

absl::Status CheckIsSound(Database& db) {
  Statement row = db.Query("PRAGMA quick_check(1)");
  std::string verdict;
  if (row.Next()) verdict = row.Text(0);
  LATHE_RETURN_IF_ERROR(row.status());
  if (verdict == "ok") return absl::OkStatus();
  return absl::DataLossError(absl::StrCat(db.path(), " is damaged (", verdict,
                                          "); restore a backup of it"));
}

absl::StatusOr<IntegrityReport> CheckDatabase(Database& db) {
  return Check(db).Run();
}

}  // namespace lathe::storage

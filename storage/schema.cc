#include "storage/schema.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "base/file.h"
#include "base/log.h"
#include "base/status.h"

namespace lathe::storage {
namespace {

// "LTHE", in the file's header: tells a database of ours from others.
constexpr int kApplicationId = 0x4c544845;

// Times are microseconds since 1970 (UTC). States and kinds are the numbers of
// proto/types.proto; columns of type BLOB are its messages.
constexpr char kVersion1[] = R"sql(
CREATE TABLE jobs (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  state INTEGER NOT NULL,
  state_reason TEXT NOT NULL DEFAULT '',
  -- CPU, ISA and oneDNN of `profile`; empty until that is set.
  profile_key TEXT NOT NULL DEFAULT '',
  create_time_us INTEGER NOT NULL,
  end_time_us INTEGER,
  profile BLOB,
  spec BLOB NOT NULL,
  baseline BLOB
) STRICT;
-- 1 and 2 are PENDING and RUNNING.
CREATE INDEX jobs_leasable ON jobs (id) WHERE state IN (1, 2);

-- What changes with every trial stands apart from the job's large columns.
CREATE TABLE counts (
  job INTEGER PRIMARY KEY REFERENCES jobs (id) ON DELETE CASCADE,
  next_number INTEGER NOT NULL DEFAULT 0,
  last_sequence INTEGER NOT NULL DEFAULT 0,
  pending INTEGER NOT NULL DEFAULT 0 CHECK (pending >= 0),
  leased INTEGER NOT NULL DEFAULT 0 CHECK (leased >= 0),
  measured INTEGER NOT NULL DEFAULT 0 CHECK (measured >= 0),
  infeasible INTEGER NOT NULL DEFAULT 0 CHECK (infeasible >= 0),
  failed INTEGER NOT NULL DEFAULT 0 CHECK (failed >= 0),
  quarantined INTEGER NOT NULL DEFAULT 0 CHECK (quarantined >= 0)
) STRICT;

CREATE TABLE idempotency (
  request_id TEXT PRIMARY KEY,
  spec_digest TEXT NOT NULL,
  job INTEGER NOT NULL REFERENCES jobs (id) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;
CREATE INDEX idempotency_by_job ON idempotency (job);

CREATE TABLE trials (
  id INTEGER PRIMARY KEY,
  job INTEGER NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,
  number INTEGER NOT NULL,
  state INTEGER NOT NULL,
  attempts INTEGER NOT NULL DEFAULT 0,
  -- The event that ended the trial: the order of ending.
  end_sequence INTEGER,
  learn_sequence INTEGER,
  create_time_us INTEGER NOT NULL,
  end_time_us INTEGER,
  plan_digest TEXT NOT NULL,
  state_reason TEXT NOT NULL DEFAULT '',
  reused_from TEXT NOT NULL DEFAULT '',
  artifact_digest TEXT NOT NULL DEFAULT '',
  proposal BLOB NOT NULL,
  UNIQUE (job, number)
) STRICT;
-- 1 is TRIAL_PENDING; 3 and 4 are TRIAL_MEASURED and TRIAL_INFEASIBLE.
CREATE INDEX trials_pending ON trials (job, number) WHERE state = 1;
CREATE UNIQUE INDEX trials_unlearned ON trials (job, end_sequence)
  WHERE learn_sequence IS NULL AND state IN (3, 4);

CREATE TABLE attempts (
  fence INTEGER PRIMARY KEY AUTOINCREMENT,
  trial INTEGER NOT NULL REFERENCES trials (id) ON DELETE CASCADE,
  session TEXT NOT NULL,
  is_active INTEGER NOT NULL DEFAULT 1,
  start_time_us INTEGER NOT NULL,
  end_time_us INTEGER,
  -- OutcomeKind; 0 while active and when it ended without an outcome.
  outcome INTEGER NOT NULL DEFAULT 0,
  why TEXT NOT NULL DEFAULT ''
) STRICT;
CREATE UNIQUE INDEX attempts_active ON attempts (trial) WHERE is_active = 1;
CREATE INDEX attempts_by_trial ON attempts (trial, fence);

CREATE TABLE measurements (
  trial INTEGER PRIMARY KEY REFERENCES trials (id) ON DELETE CASCADE,
  -- Digest of everything on which the measurement depends.
  reuse_key TEXT NOT NULL,
  measurement BLOB NOT NULL
) STRICT;
CREATE INDEX measurements_by_key ON measurements (reuse_key, trial);

CREATE TABLE rewards (
  trial INTEGER PRIMARY KEY REFERENCES trials (id) ON DELETE CASCADE,
  reward BLOB NOT NULL
) STRICT;

CREATE TABLE frontier (
  job INTEGER NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,
  number INTEGER NOT NULL,
  PRIMARY KEY (job, number)
) STRICT, WITHOUT ROWID;

CREATE TABLE agent_state (
  job INTEGER PRIMARY KEY REFERENCES jobs (id) ON DELETE CASCADE,
  learn_sequence INTEGER NOT NULL,
  state BLOB NOT NULL
) STRICT;

CREATE TABLE events (
  job INTEGER NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,
  sequence INTEGER NOT NULL,
  time_us INTEGER NOT NULL,
  -- NULL for an event of the job itself.
  number INTEGER,
  state INTEGER NOT NULL,
  reason TEXT NOT NULL,
  counts BLOB NOT NULL,
  PRIMARY KEY (job, sequence)
) STRICT, WITHOUT ROWID;

CREATE TABLE workers (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  session TEXT NOT NULL UNIQUE,
  is_cordoned INTEGER NOT NULL DEFAULT 0,
  time_us INTEGER NOT NULL,
  capabilities BLOB NOT NULL
) STRICT;

-- Blobs that a job refers to; the bytes are files.
CREATE TABLE blobs (
  job INTEGER NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,
  digest TEXT NOT NULL,
  PRIMARY KEY (job, digest)
) STRICT, WITHOUT ROWID;
CREATE INDEX blobs_by_digest ON blobs (digest);
)sql";

// The agent is told of trials that were given up, too; draining outlives a
// restart; jobs and uploads belong to somebody.
constexpr char kVersion2[] = R"sql(
DROP INDEX trials_unlearned;
-- 3 to 6 are MEASURED, INFEASIBLE, FAILED, QUARANTINED.
CREATE UNIQUE INDEX trials_unlearned ON trials (job, end_sequence)
  WHERE learn_sequence IS NULL AND state IN (3, 4, 5, 6);

ALTER TABLE workers ADD COLUMN is_draining INTEGER NOT NULL DEFAULT 0;

-- The caller who made the job; empty where nobody is asked who they are.
ALTER TABLE jobs ADD COLUMN creator TEXT NOT NULL DEFAULT '';
-- 1 to 3 are PENDING, RUNNING and PAUSED.
CREATE INDEX jobs_active ON jobs (creator) WHERE state IN (1, 2, 3);

-- Who brought a blob first, and is charged for it.
CREATE TABLE uploads (
  digest TEXT PRIMARY KEY,
  creator TEXT NOT NULL,
  bytes INTEGER NOT NULL CHECK (bytes >= 0)
) STRICT, WITHOUT ROWID;
CREATE INDEX uploads_by_creator ON uploads (creator, bytes);
)sql";

// Overviews of all jobs read indexes only. In an index's condition a list of
// numbers costs every change of a trial a little table; a comparison does not.
constexpr char kVersion3[] = R"sql(
DROP INDEX trials_unlearned;
-- From 3 on: MEASURED, INFEASIBLE, FAILED, QUARANTINED.
CREATE UNIQUE INDEX trials_unlearned ON trials (job, end_sequence)
  WHERE learn_sequence IS NULL AND state >= 3;

CREATE INDEX jobs_by_state ON jobs (state);
CREATE INDEX jobs_by_end ON jobs (end_time_us) WHERE end_time_us IS NOT NULL;
)sql";

constexpr const char* kScripts[] = {kVersion1, kVersion2, kVersion3};

absl::StatusOr<int64_t> Pragma(Database& db, absl::string_view name) {
  LATHE_ASSIGN_OR_RETURN(std::optional<int64_t> value,
                         db.QueryInt(absl::StrCat("PRAGMA ", name)));
  return value.value_or(0);
}

// Copies the file before its first migration. A copy that is already there
// was made by a run that died before it changed anything: each script commits
// together with its version number.
absl::Status CopyBeside(Database& db, int version) {
  const std::string path = absl::StrCat(db.path(), ".schema-", version);
  if (FileExists(path)) return absl::OkStatus();
  LATHE_LOG(kInfo) << "copying " << db.path() << " to " << path
                   << " before its schema changes";
  return Annotate(db.CopyTo(path), "copy before the schema change");
}

absl::Status RunMigration(Database& db, const char* script, int version) {
  return Annotate(db.RunScript(absl::StrCat(
                      "BEGIN IMMEDIATE; ", script,
                      "; PRAGMA application_id = ", kApplicationId,
                      "; PRAGMA user_version = ", version, "; COMMIT;")),
                  absl::StrCat("schema version ", version));
}

}  // namespace

absl::Span<const char* const> SchemaScripts() { return kScripts; }

int NewestSchemaVersion() { return static_cast<int>(SchemaScripts().size()); }

absl::StatusOr<int> SchemaVersion(Database& db) {
  LATHE_ASSIGN_OR_RETURN(int64_t version, Pragma(db, "user_version"));
  LATHE_ASSIGN_OR_RETURN(int64_t application, Pragma(db, "application_id"));
  LATHE_ASSIGN_OR_RETURN(std::optional<int64_t> tables,
                         db.QueryInt("SELECT count(*) FROM sqlite_schema"));
  if (version == 0 && tables.value_or(0) == 0) return 0;
  if (application != kApplicationId) {
    return absl::FailedPreconditionError(
        absl::StrCat(db.path(),
                     " is a database of another program; choose another state "
                     "folder"));
  }
  return static_cast<int>(version);
}

absl::Status Migrate(Database& db, absl::Span<const char* const> scripts) {
  LATHE_ASSIGN_OR_RETURN(int version, SchemaVersion(db));
  const int newest = static_cast<int>(scripts.size());
  if (version > newest) {
    return absl::FailedPreconditionError(absl::StrCat(
        db.path(), " has schema version ", version,
        ", this program knows up to ", newest,
        "; use a newer program or the copy ", db.path(), ".schema-", newest));
  }
  if (version == newest) return absl::OkStatus();
  if (version > 0) LATHE_RETURN_IF_ERROR(CopyBeside(db, version));
  for (; version < newest; ++version) {
    absl::Status status = RunMigration(db, scripts[version], version + 1);
    if (status.ok()) continue;
    if (db.is_in_transaction()) (void)db.RunScript("ROLLBACK");
    return status;
  }
  return absl::OkStatus();
}

}  // namespace lathe::storage

#include "storage/sqlite.h"

#include <sqlite3.h>
#include <unistd.h>

#include <cerrno>
#include <string>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "base/file.h"
#include "base/status.h"
#include "storage/sync_folder.h"

namespace lathe::storage {
namespace {

absl::StatusCode CodeOf(int sqlite_code) {
  switch (sqlite_code & 0xff) {
    case SQLITE_FULL:
    case SQLITE_NOMEM:
    case SQLITE_TOOBIG:
      return absl::StatusCode::kResourceExhausted;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
    case SQLITE_FORMAT:
      return absl::StatusCode::kDataLoss;
    case SQLITE_CANTOPEN:
      return absl::StatusCode::kNotFound;
    case SQLITE_READONLY:
    case SQLITE_PERM:
    case SQLITE_AUTH:
      return absl::StatusCode::kPermissionDenied;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
    case SQLITE_IOERR:
      return absl::StatusCode::kUnavailable;
    default:
      return absl::StatusCode::kInternal;
  }
}

absl::string_view NextStep(int sqlite_code) {
  switch (sqlite_code & 0xff) {
    case SQLITE_FULL:
      return "; the disk is full: free space and try again";
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      return "; the file is damaged: restore a backup of it";
    default:
      return "";
  }
}

bool IsFailedSync(int sqlite_code) {
  return sqlite_code == SQLITE_IOERR_FSYNC ||
         sqlite_code == SQLITE_IOERR_DIR_FSYNC;
}

}  // namespace

// ---------------------------------------------------------------- Statement

Statement::Statement(Database* db, absl::string_view sql)
    : db_(db), idle_(&db->idle_statements_[sql]) {
  if (!idle_->empty()) {
    statement_ = idle_->back();
    idle_->pop_back();
    return;
  }
  Check(sqlite3_prepare_v3(db_->db_, sql.data(), static_cast<int>(sql.size()),
                           SQLITE_PREPARE_PERSISTENT, &statement_,
                           /*pzTail=*/nullptr));
}

Statement::Statement(Statement&& other) noexcept
    : db_(other.db_),
      idle_(other.idle_),
      statement_(std::exchange(other.statement_, nullptr)),
      status_(std::move(other.status_)) {}

Statement::~Statement() {
  if (statement_ == nullptr) return;
  sqlite3_reset(statement_);
  sqlite3_clear_bindings(statement_);
  idle_->push_back(statement_);
}

void Statement::Check(int code) {
  if (code == SQLITE_OK || !status_.ok()) return;
  status_ = db_->ToStatus(code, db_->path());
}

bool Statement::Next() {
  if (!status_.ok()) return false;
  const int code = sqlite3_step(statement_);
  if (code == SQLITE_ROW) return true;
  if (code != SQLITE_DONE) Check(code);
  // A statement that is done holds its read lock no longer.
  sqlite3_reset(statement_);
  return false;
}

int64_t Statement::Int(int column) const {
  return sqlite3_column_int64(statement_, column);
}

bool Statement::IsNull(int column) const {
  return sqlite3_column_type(statement_, column) == SQLITE_NULL;
}

std::string Statement::Text(int column) const {
  const void* bytes = sqlite3_column_blob(statement_, column);
  const int size = sqlite3_column_bytes(statement_, column);
  return std::string(static_cast<const char*>(bytes), bytes ? size : 0);
}

void Statement::Parse(int column, google::protobuf::MessageLite* message) {
  const void* bytes = sqlite3_column_blob(statement_, column);
  const int size = sqlite3_column_bytes(statement_, column);
  if (!message->ParseFromArray(bytes, bytes ? size : 0) && status_.ok()) {
    status_ = absl::DataLossError(
        absl::StrCat(db_->path(), ": a stored ", message->GetTypeName(),
                     " cannot be read; restore a backup of the file"));
  }
}

void Statement::BindAt(int index, int64_t value) {
  if (status_.ok()) Check(sqlite3_bind_int64(statement_, index, value));
}

void Statement::BindAt(int index, absl::string_view text) {
  if (!status_.ok()) return;
  // A null pointer would bind NULL.
  const char* data = text.data() == nullptr ? "" : text.data();
  Check(sqlite3_bind_text64(statement_, index, data, text.size(),
                            SQLITE_TRANSIENT, SQLITE_UTF8));
}

void Statement::BindAt(int index, const Blob& blob) {
  if (!status_.ok()) return;
  Check(sqlite3_bind_blob64(statement_, index, blob.bytes.data(),
                            blob.bytes.size(), SQLITE_TRANSIENT));
}

// ----------------------------------------------------------------- Database

Database::Database(sqlite3* db, std::string path)
    : db_(db), path_(std::move(path)) {}

Database::~Database() {
  for (auto& [sql, statements] : idle_statements_) {
    for (sqlite3_stmt* statement : statements) sqlite3_finalize(statement);
  }
  sqlite3_close(db_);
}

absl::StatusOr<std::unique_ptr<Database>> Database::Open(
    const std::string& path, Mode mode) {
  // Nobody asks SQLite how much memory it uses; counting takes a lock that all
  // connections share.
  static const int uncounted = sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
  (void)uncounted;
  int flags = SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE;
  flags |=
      mode == Mode::kReadOnly ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE;
  if (mode == Mode::kCreate) flags |= SQLITE_OPEN_CREATE;
  sqlite3* db = nullptr;
  const int code = sqlite3_open_v2(path.c_str(), &db, flags, /*zVfs=*/nullptr);
  if (db == nullptr) return absl::ResourceExhaustedError("out of memory");
  std::unique_ptr<Database> database(new Database(db, path));
  if (code != SQLITE_OK) return database->ToStatus(code, path);
  sqlite3_busy_timeout(db, /*ms=*/5000);
  // Only the writer may move the log into the database file.
  if (mode == Mode::kReadOnly) {
    sqlite3_db_config(db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, nullptr);
  }
  sqlite3_db_config(db, SQLITE_DBCONFIG_DEFENSIVE, 1, nullptr);
  sqlite3_db_config(db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, nullptr);
  return database;
}

absl::Status Database::ToStatus(int code, absl::string_view what) {
  if (IsFailedSync(code)) has_failed_sync_ = true;
  return absl::Status(
      CodeOf(code), absl::StrCat(what, ": ",
                                 (sqlite3_extended_errcode(db_) == code)
                                     ? sqlite3_errmsg(db_)
                                     : sqlite3_errstr(code),
                                 " (SQLite code ", code, ")", NextStep(code)));
}

absl::Status Database::RunScript(const std::string& sql) {
  const int code = sqlite3_exec(db_, sql.c_str(), nullptr, nullptr, nullptr);
  if (code == SQLITE_OK) return absl::OkStatus();
  return ToStatus(code, path_);
}

int64_t Database::last_insert_id() const {
  return sqlite3_last_insert_rowid(db_);
}

int64_t Database::changes() const { return sqlite3_changes64(db_); }

bool Database::is_in_transaction() const {
  return sqlite3_get_autocommit(db_) == 0;
}

absl::Status Database::CopyTo(const std::string& path) {
  if (FileExists(path)) {
    return absl::AlreadyExistsError(
        absl::StrCat(path, " exists; choose a new file"));
  }
  // Complete before it has its name: a crash leaves no half copy under it.
  const std::string partial = absl::StrCat(path, ".partial");
  unlink(partial.c_str());
  absl::Cleanup remove_partial = [&] { unlink(partial.c_str()); };
  {
    LATHE_ASSIGN_OR_RETURN(std::unique_ptr<Database> copy,
                           Open(partial, Mode::kCreate));
    sqlite3_backup* backup =
        sqlite3_backup_init(copy->db_, "main", db_, "main");
    if (backup == nullptr) {
      return copy->ToStatus(sqlite3_extended_errcode(copy->db_), partial);
    }
    sqlite3_backup_step(backup, /*nPage=*/-1);
    const int code = sqlite3_backup_finish(backup);
    if (code != SQLITE_OK) return copy->ToStatus(code, partial);
  }
  if (link(partial.c_str(), path.c_str()) != 0) {
    return ErrnoToStatus(errno, path);
  }
  return SyncFolder(FolderOf(path));
}

}  // namespace lathe::storage

// SQLite's C interface as the rest of storage/ uses it: connections and cached
// prepared statements that release themselves, and errors as absl::Status.
#ifndef LATHE_STORAGE_SQLITE_H_
#define LATHE_STORAGE_SQLITE_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/container/node_hash_map.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "google/protobuf/message_lite.h"

struct sqlite3;
struct sqlite3_stmt;

namespace lathe::storage {

class Database;

// Bytes to be bound as a BLOB (text binds as TEXT).
struct Blob {
  explicit Blob(std::string bytes) : bytes(std::move(bytes)) {}
  explicit Blob(const google::protobuf::MessageLite& message)
      : bytes(message.SerializeAsString()) {}
  std::string bytes;
};

// A statement that is run, or read row by row:
//
//   Statement rows = db.Query("SELECT id FROM jobs WHERE state = ?", state);
//   while (rows.Next()) ids.push_back(rows.Int(0));
//   LATHE_RETURN_IF_ERROR(rows.status());
//
// Not thread-safe; must not outlive its database. Errors stick: after the first
// one Next() is false and status() tells it.
class Statement {
 public:
  Statement(Statement&& other) noexcept;
  Statement& operator=(Statement&&) = delete;
  ~Statement();

  // Moves to the first or next row; false at the end and after an error.
  bool Next();
  const absl::Status& status() const { return status_; }

  // Of the current row. NULL reads as 0 and as empty.
  int64_t Int(int column) const;
  bool IsNull(int column) const;
  std::string Text(int column) const;
  // Parses a BLOB; bytes that are no such message become the statement's
  // error (DataLoss).
  void Parse(int column, google::protobuf::MessageLite* message);

 private:
  friend class Database;
  Statement(Database* db, absl::string_view sql);

  void BindAt(int index, int64_t value);
  void BindAt(int index, int value) { BindAt(index, int64_t{value}); }
  void BindAt(int index, bool value) { BindAt(index, int64_t{value}); }
  void BindAt(int index, absl::string_view text);
  void BindAt(int index, const std::string& text) {
    BindAt(index, absl::string_view(text));
  }
  void BindAt(int index, const char* text) {
    BindAt(index, absl::string_view(text));
  }
  void BindAt(int index, const Blob& blob);
  void Check(int code);

  Database* db_;
  // Where it goes back to: the prepared statements of the same text.
  std::vector<sqlite3_stmt*>* idle_;
  sqlite3_stmt* statement_ = nullptr;
  absl::Status status_;
};

// One connection. Not thread-safe.
class Database {
 public:
  enum class Mode { kReadOnly, kReadWrite, kCreate };

  // Errors:
  //   NotFound - no such file (unless kCreate).
  //   DataLoss - not a database.
  static absl::StatusOr<std::unique_ptr<Database>> Open(const std::string& path,
                                                        Mode mode);
  ~Database();
  Database(const Database&) = delete;
  Database& operator=(const Database&) = delete;

  // Prepares (once for each text) and binds `arguments` to the ?s in order.
  template <typename... Arguments>
  Statement Query(absl::string_view sql, const Arguments&... arguments) {
    Statement statement(this, sql);
    int index = 0;
    (void)index;
    (statement.BindAt(++index, arguments), ...);
    return statement;
  }
  // Runs a statement that gives no rows, or whose rows do not matter.
  template <typename... Arguments>
  absl::Status Run(absl::string_view sql, const Arguments&... arguments) {
    Statement statement = Query(sql, arguments...);
    while (statement.Next()) {
    }
    return statement.status();
  }
  // The first column of the sole row, or nothing when there is no row.
  template <typename... Arguments>
  absl::StatusOr<std::optional<int64_t>> QueryInt(
      absl::string_view sql, const Arguments&... arguments) {
    Statement statement = Query(sql, arguments...);
    std::optional<int64_t> value;
    if (statement.Next()) value = statement.Int(0);
    if (!statement.status().ok()) return statement.status();
    return value;
  }
  // Runs a script of statements without arguments.
  absl::Status RunScript(const std::string& sql);

  int64_t last_insert_id() const;
  // Rows that the last INSERT, UPDATE or DELETE changed.
  int64_t changes() const;
  // False again when an error (disk full) ended the transaction by itself.
  bool is_in_transaction() const;
  // Whether the disk ever refused to sync: what it holds is unknown.
  bool has_failed_sync() const { return has_failed_sync_; }
  const std::string& path() const { return path_; }

  // Copies the whole database into the new file `path`, synced.
  // Errors: AlreadyExists; NotFound; ResourceExhausted - disk full.
  absl::Status CopyTo(const std::string& path);

 private:
  friend class Statement;
  Database(sqlite3* db, std::string path);

  // The status of a result code of this connection.
  absl::Status ToStatus(int code, absl::string_view what);

  sqlite3* const db_;
  const std::string path_;
  bool has_failed_sync_ = false;
  // Prepared statements that nobody runs at the moment, by text.
  absl::node_hash_map<std::string, std::vector<sqlite3_stmt*>> idle_statements_;
};

}  // namespace lathe::storage

#endif  // LATHE_STORAGE_SQLITE_H_

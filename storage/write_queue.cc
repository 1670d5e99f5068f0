#include "storage/write_queue.h"

#include <unistd.h>

#include <chrono>
#include <utility>

#include "base/log.h"

namespace lathe::storage {
namespace {

// More requests than a server has threads and streams; beyond that callers
// wait for room.
constexpr size_t kMostQueued = 4096;

// EX_IOERR of sysexits.h.
constexpr int kIoErrorExitStatus = 74;

// Runs one write in a savepoint. An error that ends the whole transaction
// (disk full) is told by db.is_in_transaction().
absl::Status RunInSavepoint(
    Database& db, const std::function<absl::Status(Database&)>& write) {
  absl::Status status = db.Run("SAVEPOINT request");
  if (!status.ok()) return status;
  status = write(db);
  if (!db.is_in_transaction()) return status;
  if (!status.ok()) {
    absl::Status rollback = db.Run("ROLLBACK TO request");
    if (!rollback.ok()) return rollback;
  }
  const absl::Status release = db.Run("RELEASE request");
  return status.ok() ? release : status;
}

}  // namespace

WriteQueue::WriteQueue(std::unique_ptr<Database> db, CommitObserver on_commit)
    : db_(std::move(db)),
      on_commit_(std::move(on_commit)),
      queue_(kMostQueued),
      thread_([this] { Loop(); }) {}

WriteQueue::~WriteQueue() {
  queue_.Close();
  thread_.join();
}

absl::Status WriteQueue::Run(std::function<absl::Status(Database&)> write) {
  Request request;
  request.write = std::move(write);
  if (!queue_.Push(&request)) {
    return absl::UnavailableError("the store is closing");
  }
  request.is_done.WaitForNotification();
  return request.status;
}

void WriteQueue::Loop() {
  for (;;) {
    const std::vector<Request*> batch = queue_.PopAll();
    if (batch.empty()) return;
    const auto start = std::chrono::steady_clock::now();
    Commit(batch);
    if (on_commit_ != nullptr) {
      on_commit_({static_cast<int>(batch.size()),
                  absl::FromChrono(std::chrono::steady_clock::now() - start)});
    }
    // After a failed sync nobody knows what the disk holds, and a repeated
    // sync would wrongly succeed: only a new process that reads the log again
    // can tell.
    if (db_->has_failed_sync()) {
      LATHE_LOG(kError) << db_->path()
                        << ": the disk refused to sync; ending at once, start "
                           "again to recover";
      _exit(kIoErrorExitStatus);
    }
    for (Request* request : batch) request->is_done.Notify();
  }
}

void WriteQueue::Commit(const std::vector<Request*>& batch) {
  absl::Status whole = db_->Run("BEGIN IMMEDIATE");
  for (Request* request : batch) {
    if (!whole.ok()) break;
    request->status = RunInSavepoint(*db_, request->write);
    if (!db_->is_in_transaction()) whole = request->status;
    if (whole.ok() && !db_->is_in_transaction()) {
      whole = absl::InternalError("the transaction ended early");
    }
  }
  if (whole.ok()) whole = db_->Run("COMMIT");
  if (whole.ok()) return;
  if (db_->is_in_transaction()) (void)db_->Run("ROLLBACK");
  for (Request* request : batch) {
    if (request->status.ok()) request->status = whole;
  }
}

}  // namespace lathe::storage

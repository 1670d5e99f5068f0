// Group commit: the one thread that writes to the database.
#ifndef LATHE_STORAGE_WRITE_QUEUE_H_
#define LATHE_STORAGE_WRITE_QUEUE_H_

#include <functional>
#include <memory>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/notification.h"
#include "base/queue.h"
#include "storage/sqlite.h"
#include "storage/sqlite_store.h"

namespace lathe::storage {

// Called on the writing thread after every commit.
using CommitObserver = std::function<void(const CommitReport&)>;

// Takes all writes that wait into one transaction, commits it, and only then
// lets their callers go on. Each write has a savepoint of its own, so that one
// that fails changes nothing and harms no other. Writes run in the order in
// which they came. Thread-safe.
class WriteQueue {
 public:
  explicit WriteQueue(std::unique_ptr<Database> db,
                      CommitObserver on_commit = nullptr);
  // Finishes what waits. No Write may be called any more.
  ~WriteQueue();
  WriteQueue(const WriteQueue&) = delete;
  WriteQueue& operator=(const WriteQueue&) = delete;

  // Runs `write` on the writer thread; OK means that it is durable.
  // Errors: what `write` returns; ResourceExhausted - disk full.
  absl::Status Run(std::function<absl::Status(Database&)> write);

  // The same for a write that answers something.
  template <typename T>
  absl::StatusOr<T> RunFor(std::function<absl::StatusOr<T>(Database&)> write) {
    absl::StatusOr<T> answer = absl::InternalError("not run");
    const absl::Status status = Run([&](Database& db) {
      answer = write(db);
      return answer.status();
    });
    if (!status.ok()) return status;
    return answer;
  }

 private:
  struct Request {
    std::function<absl::Status(Database&)> write;
    absl::Status status;
    absl::Notification is_done;
  };

  void Loop();
  // Leaves the outcome in every request's status.
  void Commit(const std::vector<Request*>& batch);

  const std::unique_ptr<Database> db_;  // Of the writer thread alone.
  const CommitObserver on_commit_;
  BlockingQueue<Request*> queue_;
  std::thread thread_;
};

}  // namespace lathe::storage

#endif  // LATHE_STORAGE_WRITE_QUEUE_H_

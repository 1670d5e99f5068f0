// Read-only connections, each lent to one reader at a time.
#ifndef LATHE_STORAGE_READ_POOL_H_
#define LATHE_STORAGE_READ_POOL_H_

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "storage/sqlite.h"

namespace lathe::storage {

// Thread-safe. Readers beyond the number of connections wait.
class ReadPool {
 public:
  // Errors: as Database::Open.
  static absl::StatusOr<std::unique_ptr<ReadPool>> Open(const std::string& path,
                                                        int connections);

  // How long a read may take. Of the connections at most half are lent to long
  // ones, so that short ones, for which leases wait, soon find another.
  enum Length { kShort, kLong };

  // Runs `read` in one read transaction: all its queries see the same commit.
  template <typename T>
  absl::StatusOr<T> Run(std::function<absl::StatusOr<T>(Database&)> read,
                        Length length = kShort) {
    std::unique_ptr<Database> db = Take(length);
    const absl::Status begun = db->Run("BEGIN");
    absl::StatusOr<T> answer = begun.ok() ? read(*db) : begun;
    if (db->is_in_transaction()) (void)db->Run("COMMIT");
    GiveBack(std::move(db), length);
    return answer;
  }

 private:
  ReadPool() = default;
  std::unique_ptr<Database> Take(Length length) ABSL_LOCKS_EXCLUDED(mu_);
  void GiveBack(std::unique_ptr<Database> db, Length length)
      ABSL_LOCKS_EXCLUDED(mu_);
  bool HasIdle() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    return !idle_.empty();
  }
  bool MayTakeLong() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    return !idle_.empty() && long_reads_ < most_long_reads_;
  }

  int most_long_reads_ = 1;  // Constant after Open.
  absl::Mutex mu_;
  std::vector<std::unique_ptr<Database>> idle_ ABSL_GUARDED_BY(mu_);
  int long_reads_ ABSL_GUARDED_BY(mu_) = 0;
};

}  // namespace lathe::storage

#endif  // LATHE_STORAGE_READ_POOL_H_

#include "storage/read_pool.h"

#include <algorithm>

#include "base/status.h"

namespace lathe::storage {

absl::StatusOr<std::unique_ptr<ReadPool>> ReadPool::Open(
    const std::string& path, int connections) {
  std::unique_ptr<ReadPool> pool(new ReadPool);
  for (int i = 0; i < connections; ++i) {
    LATHE_ASSIGN_OR_RETURN(std::unique_ptr<Database> db,
                           Database::Open(path, Database::Mode::kReadOnly));
    pool->GiveBack(std::move(db), kShort);
  }
  pool->most_long_reads_ = std::max(1, connections / 2);
  return pool;
}

std::unique_ptr<Database> ReadPool::Take(Length length) {
  absl::MutexLock lock(&mu_);
  const bool is_long = length == kLong;
  mu_.Await(absl::Condition(
      this, is_long ? &ReadPool::MayTakeLong : &ReadPool::HasIdle));
  if (is_long) ++long_reads_;
  std::unique_ptr<Database> db = std::move(idle_.back());
  idle_.pop_back();
  return db;
}

void ReadPool::GiveBack(std::unique_ptr<Database> db, Length length) {
  absl::MutexLock lock(&mu_);
  if (length == kLong) --long_reads_;
  idle_.push_back(std::move(db));
}

}  // namespace lathe::storage

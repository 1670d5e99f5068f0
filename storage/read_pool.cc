#include "storage/read_pool.h"

#include "base/status.h"

namespace lathe::storage {

absl::StatusOr<std::unique_ptr<ReadPool>> ReadPool::Open(
    const std::string& path, int connections) {
  std::unique_ptr<ReadPool> pool(new ReadPool);
  for (int i = 0; i < connections; ++i) {
    LATHE_ASSIGN_OR_RETURN(std::unique_ptr<Database> db,
                           Database::Open(path, Database::Mode::kReadOnly));
    pool->GiveBack(std::move(db));
  }
  return pool;
}

std::unique_ptr<Database> ReadPool::Take() {
  absl::MutexLock lock(&mu_);
  mu_.Await(absl::Condition(this, &ReadPool::HasIdle));
  std::unique_ptr<Database> db = std::move(idle_.back());
  idle_.pop_back();
  return db;
}

void ReadPool::GiveBack(std::unique_ptr<Database> db) {
  absl::MutexLock lock(&mu_);
  idle_.push_back(std::move(db));
}

}  // namespace lathe::storage

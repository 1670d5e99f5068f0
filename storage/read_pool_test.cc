#include "storage/read_pool.h"

#include <atomic>
#include <thread>

#include "absl/synchronization/notification.h"
#include "absl/time/clock.h"
#include "gtest/gtest.h"
#include "storage/testing/store_fixture.h"

namespace lathe::storage {
namespace {

TEST(ReadPool, LongReadsLeaveAConnectionToShortOnes) {
  const std::string path = FreshFolder() + "/lathe.db";
  ASSERT_TRUE(Database::Open(path, Database::Mode::kCreate)
                  .value()
                  ->RunScript("CREATE TABLE t (x)")
                  .ok());
  const auto pool = ReadPool::Open(path, /*connections=*/2).value();
  absl::Notification is_over;
  std::atomic<int> begun{0};
  const auto read_long = [&] {
    const auto answer = pool->Run<int64_t>(
        [&](Database&) -> absl::StatusOr<int64_t> {
          ++begun;
          // Ends of itself where it would keep the short one waiting.
          is_over.WaitForNotificationWithTimeout(absl::Seconds(20));
          return 1;
        },
        ReadPool::kLong);
    EXPECT_EQ(answer.value(), 1);
  };
  std::thread first(read_long);
  std::thread second(read_long);
  while (begun == 0) absl::SleepFor(absl::Milliseconds(1));
  // Time for the second to begin, if it could.
  absl::SleepFor(absl::Milliseconds(50));
  const auto answer =
      pool->Run<int64_t>([](Database& db) -> absl::StatusOr<int64_t> {
        return db.QueryInt("SELECT count(*) FROM t").value().value();
      });
  EXPECT_EQ(answer.value(), 0);
  EXPECT_EQ(begun, 1);
  is_over.Notify();
  first.join();
  second.join();
  EXPECT_EQ(begun, 2);
}

}  // namespace
}  // namespace lathe::storage

#include "storage/write_queue.h"

#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "gtest/gtest.h"
#include "storage/testing/store_fixture.h"

namespace lathe::storage {
namespace {

class WriteQueueTest : public testing::Test {
 protected:
  WriteQueueTest() : path_(FreshFolder() + "/test.db") {
    auto db = Database::Open(path_, Database::Mode::kCreate).value();
    EXPECT_TRUE(db->RunScript("PRAGMA journal_mode = WAL; "
                              "CREATE TABLE t (x INTEGER PRIMARY KEY)")
                    .ok());
    queue_ = std::make_unique<WriteQueue>(std::move(db));
  }

  static std::function<absl::Status(Database&)> Insert(int x) {
    return [x](Database& db) { return db.Run("INSERT INTO t VALUES (?)", x); };
  }
  std::vector<int64_t> Rows() {
    auto db = Database::Open(path_, Database::Mode::kReadOnly).value();
    Statement rows = db->Query("SELECT x FROM t ORDER BY x");
    std::vector<int64_t> values;
    while (rows.Next()) values.push_back(rows.Int(0));
    return values;
  }

  const std::string path_;
  std::unique_ptr<WriteQueue> queue_;
};

TEST_F(WriteQueueTest, AnAnsweredWriteIsVisibleToOtherConnections) {
  ASSERT_TRUE(queue_->Run(Insert(1)).ok());
  EXPECT_EQ(Rows(), (std::vector<int64_t>{1}));
}

TEST_F(WriteQueueTest, AnswersWithTheWritesOwnValue) {
  EXPECT_EQ(
      queue_->RunFor<int>([](Database&) -> absl::StatusOr<int> { return 7; })
          .value(),
      7);
  EXPECT_EQ(queue_
                ->RunFor<int>([](Database&) -> absl::StatusOr<int> {
                  return absl::NotFoundError("x");
                })
                .status()
                .code(),
            absl::StatusCode::kNotFound);
}

// While the first write blocks the writer, the others gather into one batch.
TEST_F(WriteQueueTest, AFailingWriteHarmsNoOtherOfItsBatch) {
  absl::Notification is_running, may_end;
  std::thread first([&] {
    EXPECT_TRUE(queue_
                    ->Run([&](Database&) {
                      is_running.Notify();
                      may_end.WaitForNotification();
                      return absl::OkStatus();
                    })
                    .ok());
  });
  is_running.WaitForNotification();
  std::thread good([&] { EXPECT_TRUE(queue_->Run(Insert(1)).ok()); });
  std::thread bad([&] {
    EXPECT_EQ(queue_
                  ->Run([&](Database& db) {
                    EXPECT_TRUE(Insert(2)(db).ok());
                    return absl::AbortedError("changed its mind");
                  })
                  .code(),
              absl::StatusCode::kAborted);
  });
  std::thread constraint([&] {
    EXPECT_EQ(queue_
                  ->Run([&](Database& db) {
                    EXPECT_TRUE(Insert(3)(db).ok());
                    return Insert(3)(db);
                  })
                  .code(),
              absl::StatusCode::kInternal);
  });
  may_end.Notify();
  for (std::thread* thread : {&first, &good, &bad, &constraint}) {
    thread->join();
  }
  EXPECT_EQ(Rows(), (std::vector<int64_t>{1}));
}

TEST_F(WriteQueueTest, AFullDatabaseIsToldAndRecovers) {
  const auto limit_pages = [](Database& db, int pages) {
    return db.Run(absl::StrCat("PRAGMA max_page_count = ", pages));
  };
  ASSERT_TRUE(
      queue_->Run([&](Database& db) { return limit_pages(db, 3); }).ok());
  const auto insert_many = [](Database& db) -> absl::Status {
    for (int x = 0; x < 5000; ++x) {
      absl::Status status = Insert(x)(db);
      if (!status.ok()) return status;
    }
    return absl::OkStatus();
  };
  const absl::Status full = queue_->Run(insert_many);
  EXPECT_EQ(full.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_NE(full.message().find("free space"), std::string::npos);
  EXPECT_TRUE(Rows().empty());
  ASSERT_TRUE(
      queue_->Run([&](Database& db) { return limit_pages(db, 9999); }).ok());
  EXPECT_TRUE(queue_->Run(insert_many).ok());
  EXPECT_EQ(Rows().size(), 5000u);
}

TEST_F(WriteQueueTest, ALostTransactionFailsItsWholeBatchAndNoLaterOne) {
  EXPECT_EQ(queue_
                ->Run([](Database& db) -> absl::Status {
                  EXPECT_TRUE(Insert(1)(db).ok());
                  EXPECT_TRUE(db.Run("ROLLBACK").ok());
                  return absl::OkStatus();
                })
                .code(),
            absl::StatusCode::kInternal);
  ASSERT_TRUE(queue_->Run(Insert(2)).ok());
  EXPECT_EQ(Rows(), (std::vector<int64_t>{2}));
}

}  // namespace
}  // namespace lathe::storage

#include "server/housekeeper.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <memory>
#include <string>

#include "storage/sqlite_store.h"

namespace lathe {
namespace {

const absl::Time kToday = absl::FromUnixSeconds(100'000'000);

class HousekeeperTest : public ::testing::Test {
 protected:
  HousekeeperTest() {
    std::string pattern =
        (std::filesystem::temp_directory_path() / "lathe-housekeeper-XXXXXX")
            .string();
    folder_ = mkdtemp(pattern.data());
    StoreOptions options;
    options.folder = folder_;
    store_ = *OpenStore(options);
    blobs_ = *BlobStore::Open(folder_ + "/blobs", {});
    frontiers_ = std::make_unique<FrontierTracker>(store_.get());
  }
  ~HousekeeperTest() override {
    store_.reset();
    std::filesystem::remove_all(folder_);
  }

  std::string folder_;
  std::unique_ptr<Store> store_;
  std::unique_ptr<BlobStore> blobs_;
  std::unique_ptr<FrontierTracker> frontiers_;
  WorkerRegistry workers_;
};

TEST_F(HousekeeperTest, ForgetsWorkersThatAreGoneAndNoOthers) {
  RetentionRules rules;
  rules.gone_workers = absl::Hours(24);
  const absl::Time long_ago = kToday - absl::Hours(25);
  const auto record = [&](const std::string& session, absl::Time time) {
    return store_->RecordWorker(session, {}, time).value();
  };
  const std::string gone = record("gone", long_ago).name;
  const WorkerRecord living = record("living", long_ago);
  const std::string recent = record("recent", kToday - absl::Hours(23)).name;
  workers_.Register("living", living, {}, kToday);
  Housekeeper keeper(store_.get(), blobs_.get(), frontiers_.get(), &workers_,
                     rules);
  ASSERT_TRUE(keeper.Tidy(kToday, kToday).ok());
  EXPECT_TRUE(absl::IsNotFound(store_->SetCordoned(gone, true)));
  EXPECT_TRUE(store_->SetCordoned(living.name, true).ok());
  EXPECT_TRUE(store_->SetCordoned(recent, true).ok());
  // A name is not given twice.
  EXPECT_EQ(record("new", kToday).name, "workers/4");
}

TEST_F(HousekeeperTest, DeletesJobsThatEndedLongAgoAndNoOthers) {
  const auto make_job = [&](v1::JobState state, absl::Time time) {
    const std::string job = store_->CreateJob({}, "", time).value().name();
    EXPECT_TRUE(store_->SetJobState(job, state, "", time).ok());
    return job;
  };
  const std::string old = make_job(v1::DONE, kToday - absl::Hours(25));
  const std::string recent = make_job(v1::DONE, kToday - absl::Hours(23));
  const std::string running = make_job(v1::RUNNING, kToday - absl::Hours(99));
  RetentionRules rules;
  Housekeeper keeps(store_.get(), blobs_.get(), frontiers_.get(), &workers_,
                    rules);
  ASSERT_TRUE(keeps.Tidy(kToday, kToday).ok());
  EXPECT_TRUE(store_->GetJob(old).ok());
  rules.ended_jobs = absl::Hours(24);
  Housekeeper deletes(store_.get(), blobs_.get(), frontiers_.get(), &workers_,
                      rules);
  ASSERT_TRUE(deletes.Tidy(kToday, kToday).ok());
  EXPECT_TRUE(absl::IsNotFound(store_->GetJob(old).status()));
  EXPECT_TRUE(store_->GetJob(recent).ok());
  EXPECT_TRUE(store_->GetJob(running).ok());
}

}  // namespace
}  // namespace lathe

// What is SQLite's own: files, locks, damage, disk full, threads.
#include "storage/sqlite_store.h"

#include <sys/resource.h>

#include <atomic>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "base/file.h"
#include "gtest/gtest.h"
#include "storage/state_lock.h"
#include "storage/testing/store_fixture.h"

namespace lathe {
namespace {

using absl::StatusCode;
using SqliteStore = StoreTest;

TEST_F(SqliteStore, ASecondOpenerIsRefusedAndToldWhoHoldsIt) {
  const absl::Status status = OpenStore({folder_}).status();
  EXPECT_EQ(status.code(), StatusCode::kFailedPrecondition);
  EXPECT_EQ(status.message(),
            absl::StrCat("state folder ", folder_, " is used by process ",
                         getpid(), "; stop it or choose another --state"));
  store_.reset();
  EXPECT_TRUE(OpenStore({folder_}).ok());
}

TEST(StateLock, KnowsNetworkFileSystems) {
  EXPECT_TRUE(storage::IsNetworkFileSystem(0x6969));       // NFS
  EXPECT_TRUE(storage::IsNetworkFileSystem(0xff534d42));   // CIFS
  EXPECT_FALSE(storage::IsNetworkFileSystem(0xef53));      // ext4
  EXPECT_FALSE(storage::IsNetworkFileSystem(0x01021994));  // tmpfs
}

TEST(OpenStore, RefusesWhatIsNoDatabaseAndLeavesItAlone) {
  const std::string folder = FreshFolder();
  const std::string text(5000, 'x');
  std::ofstream(folder + "/lathe.db") << text;
  const absl::Status status = OpenStore({folder}).status();
  EXPECT_EQ(status.code(), StatusCode::kDataLoss);
  EXPECT_NE(status.message().find("lathe.db"), std::string::npos);
  EXPECT_EQ(ReadFile(folder + "/lathe.db").value(), text);
}

TEST(OpenStore, RefusesAFolderThatCannotBeMade) {
  EXPECT_FALSE(OpenStore({"/proc/lathe"}).ok());
}

TEST_F(SqliteStore, DamageIsFoundWhenItOpens) {
  MakeJob(2000);
  store_.reset();
  const std::string path = folder_ + "/lathe.db";
  std::string bytes = ReadFile(path).value();
  ASSERT_GT(bytes.size(), 400000u);
  bytes.replace(100000, 200000, std::string(200000, '\xff'));
  ASSERT_TRUE(WriteFileAtomically(path, bytes).ok());
  EXPECT_EQ(OpenStore({folder_}).status().code(), StatusCode::kDataLoss);
}

TEST_F(SqliteStore, AGarbledTailOfTheLogLosesNothingAnswered) {
  const std::string job = MakeJob(20);
  // The log as a crash leaves it: copied while the store is open.
  const std::string crashed = folder_ + "/crashed";
  std::filesystem::create_directories(crashed);
  for (const char* name : {"/lathe.db", "/lathe.db-wal"}) {
    std::filesystem::copy_file(folder_ + name, crashed + name);
  }
  std::ofstream(crashed + "/lathe.db-wal", std::ios::app)
      << std::string(4096 + 24 + 100, 'z');
  auto store = OpenStore({crashed});
  ASSERT_TRUE(store.ok()) << store.status();
  EXPECT_EQ((*store)->AllTrials(job).value().size(), 20u);
}

TEST_F(SqliteStore, ABackupIsAWholeStoreAndNeverOverwrites) {
  const std::string job = MakeJob(3);
  const std::string copy = folder_ + "/copy";
  std::filesystem::create_directories(copy);
  const int64_t bytes = store_->Backup(copy + "/lathe.db").value();
  EXPECT_EQ(bytes, static_cast<int64_t>(
                       std::filesystem::file_size(copy + "/lathe.db")));
  EXPECT_FALSE(FileExists(copy + "/lathe.db.partial"));
  EXPECT_EQ(store_->Backup(copy + "/lathe.db").status().code(),
            StatusCode::kAlreadyExists);
  EXPECT_EQ(store_->Backup(folder_ + "/none/lathe.db").status().code(),
            StatusCode::kNotFound);
  MakeJob(1);
  auto opened = OpenStore({copy}).value();
  EXPECT_EQ(opened->AllTrials(job).value().size(), 3u);
  EXPECT_EQ(opened->ListJobs(10, "").value().rows.size(), 1u);
}

// A limit on the size of files stands for a disk that takes no more.
TEST_F(SqliteStore, ADiskThatTakesNoMoreLosesNothingAnsweredAndRecovers) {
  const std::string job = MakeJob(1);
  signal(SIGXFSZ, SIG_IGN);
  rlimit before;
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &before), 0);
  rlimit full = before;
  full.rlim_cur = 300000;
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &full), 0);
  int added = 1;
  absl::Status status;
  while (status.ok() && added < 10000) {
    status = store_->AddTrials(job, {TestProposal(1)}, now_).status();
    added += status.ok();
  }
  EXPECT_FALSE(status.ok());
  EXPECT_EQ(store_->AllTrials(job).value().size(), added);
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &before), 0);
  EXPECT_TRUE(store_->AddTrials(job, {TestProposal(1)}, now_).ok());
  Open();
  EXPECT_EQ(store_->AllTrials(job).value().size(), added + 1);
}

TEST_F(SqliteStore, WritesGoOnWhileABackupIsTaken) {
  const std::string job = MakeJob(0);
  v1::Proposal large = TestProposal(1);
  large.set_explanation(std::string(1 << 20, 'x'));
  const std::vector<v1::Proposal> proposals(64, large);
  ASSERT_TRUE(store_->AddTrials(job, proposals, now_).ok());
  std::atomic<bool> is_done = false;
  std::thread backup([&] {
    EXPECT_TRUE(store_->Backup(folder_ + "/copy").ok());
    is_done = true;
  });
  int written = 0;
  while (!is_done) {
    ASSERT_TRUE(store_->AddTrials(job, {TestProposal(2)}, now_).ok());
    ++written;
  }
  backup.join();
  // A writer that waited for it would have written once, or not at all.
  EXPECT_GT(written, 3);
}

TEST_F(SqliteStore, ManyThreadsLeaseAndCompleteEveryTrialOnce) {
  constexpr int kTrials = 200;
  const std::string job = MakeJob(kTrials);
  absl::Mutex mu;
  std::set<int64_t> fences;
  const auto work = [&](const std::string& session) {
    for (;;) {
      auto leases =
          store_->GrantLeases(session, TestProfile(), 2, now_).value();
      if (leases.empty()) return;
      for (const GrantedLease& lease : leases) {
        EXPECT_TRUE(store_->CompleteAttempt(Measured(lease.fence), now_).ok());
        EXPECT_TRUE(store_->GetJob(job).ok());
        absl::MutexLock lock(&mu);
        EXPECT_TRUE(fences.insert(lease.fence).second);
      }
    }
  };
  std::vector<std::thread> threads;
  for (int i = 0; i < 8; ++i) threads.emplace_back(work, absl::StrCat(i));
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(fences.size(), static_cast<size_t>(kTrials));
  EXPECT_EQ(CountsText(store_->GetJob(job).value().counts()), "0 0 200 0 0 0");
  const auto events = store_->EventsAfter(job, 0, 10000).value();
  ASSERT_EQ(events.size(), 1u + 3 * kTrials);
  for (size_t i = 0; i < events.size(); ++i) {
    EXPECT_EQ(events[i].sequence(), static_cast<int64_t>(i) + 1);
  }
}

}  // namespace
}  // namespace lathe

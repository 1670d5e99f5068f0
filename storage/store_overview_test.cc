// What is asked of all jobs at once.
#include <map>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "storage/sqlite.h"
#include "storage/testing/store_fixture.h"

namespace lathe {
namespace {

using absl::StatusCode;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

class StoreOverview : public StoreTest {
 protected:
  // A job of that creator with one trial, in a state since `after`.
  std::string JobIn(v1::JobState state, const std::string& creator = "",
                    absl::Duration after = absl::ZeroDuration()) {
    const std::string job =
        store_->CreateJobOf({creator, 0}, TestSpec(), "", now_).value().name();
    EXPECT_TRUE(store_->AddTrials(job, {TestProposal(1)}, now_).ok());
    EXPECT_TRUE(store_->SetJobState(job, state, "", now_ + after).ok());
    return job;
  }
  v1::JobSpec SpecFor(const std::string& cpu) {
    v1::JobSpec spec = TestSpec();
    *spec.mutable_target_profile() = TestProfile(cpu);
    return spec;
  }
  std::string Ahead(const std::string& job) {
    return store_->JobAhead(job).value().value_or("none");
  }
};

TEST_F(StoreOverview, CountsJobsByStateAndTheirTrials) {
  EXPECT_THAT(store_->CountJobs().value().jobs, IsEmpty());
  JobIn(v1::RUNNING);
  JobIn(v1::RUNNING);
  JobIn(v1::DONE);
  MeasureNext();
  const JobTotals totals = store_->CountJobs().value();
  EXPECT_EQ(totals.jobs,
            (std::map<v1::JobState, int64_t>{{v1::RUNNING, 2}, {v1::DONE, 1}}));
  EXPECT_EQ(CountsText(totals.trials), "2 0 1 0 0 0");
}

TEST_F(StoreOverview, NamesActiveJobsOldestFirstBeyondAnyPage) {
  std::vector<std::string> active;
  for (int i = 0; i < 30; ++i) {
    active.push_back(JobIn(i % 2 == 0 ? v1::RUNNING : v1::PAUSED));
    JobIn(v1::CANCELLED);
  }
  EXPECT_EQ(store_->ActiveJobs().value(), active);
}

TEST_F(StoreOverview, NamesJobsThatEndedBeforeATime) {
  const std::string early = JobIn(v1::DONE, "", absl::Hours(1));
  JobIn(v1::DONE, "", absl::Hours(2));
  JobIn(v1::RUNNING);
  EXPECT_THAT(store_->JobsEndedBefore(now_ + absl::Hours(2)).value(),
              ElementsAre(early));
  EXPECT_THAT(store_->JobsEndedBefore(now_).value(), IsEmpty());
}

TEST_F(StoreOverview, TheOldestJobAheadIsOneThatTheSameWorkersTake) {
  JobIn(v1::PAUSED);
  JobIn(v1::DONE);
  const std::string other = MakeJob(1, SpecFor("other"));
  const std::string first = MakeJob(1, SpecFor("cpu"));
  const std::string second = MakeJob(1, SpecFor("cpu"));
  const std::string any = MakeJob(1);
  EXPECT_EQ(Ahead(other), "none");
  EXPECT_EQ(Ahead(first), "none");
  EXPECT_EQ(Ahead(second), first);
  EXPECT_EQ(Ahead(any), other);
  EXPECT_EQ(Ahead(MakeJob(1, SpecFor("third"))), any);
  EXPECT_EQ(store_->JobAhead("jobs/99").status().code(), StatusCode::kNotFound);
}

TEST_F(StoreOverview, TellsWhatEachCreatorTakesUp) {
  JobIn(v1::RUNNING, "alice");
  JobIn(v1::PAUSED, "alice");
  JobIn(v1::DONE, "bob");
  Lease();
  ASSERT_TRUE(store_->RecordUpload({"a", "bob", 70}).ok());
  ASSERT_TRUE(store_->RecordUpload({"b", "bob", 7}).ok());
  const auto use = store_->UseByCreator().value();
  ASSERT_EQ(use.size(), 2u);
  EXPECT_EQ(use.at("alice").active_jobs, 2);
  EXPECT_EQ(use.at("alice").running_trials, 1);
  EXPECT_EQ(use.at("alice").blob_bytes, 0);
  EXPECT_EQ(use.at("bob").active_jobs, 0);
  EXPECT_EQ(use.at("bob").blob_bytes, 77);
}

// Without its index each is refused: it never reads all jobs instead.
TEST_F(StoreOverview, EachReadsAnIndex) {
  const std::string job = MakeJob(1);
  const auto without = [&](const std::string& index, const auto& read) {
    store_.reset();
    auto db = storage::Database::Open(folder_ + "/lathe.db",
                                      storage::Database::Mode::kReadWrite)
                  .value();
    const std::string sql = absl::StrCat(
        "SELECT sql FROM sqlite_schema WHERE name = '", index, "'");
    std::string create;
    {
      auto row = db->Query(sql);
      ASSERT_TRUE(row.Next()) << index;
      create = row.Text(0);
    }
    ASSERT_TRUE(db->RunScript(absl::StrCat("DROP INDEX ", index)).ok());
    Open();
    EXPECT_FALSE(read().ok()) << index;
    store_.reset();
    ASSERT_TRUE(db->RunScript(create).ok());
    db.reset();
    Open();
    EXPECT_TRUE(read().ok()) << index << ": " << read().status();
  };
  without("jobs_by_state", [&] { return store_->CountJobs(); });
  without("jobs_active", [&] { return store_->ActiveJobs(); });
  without("jobs_by_end", [&] { return store_->JobsEndedBefore(now_); });
  without("jobs_leasable", [&] { return store_->JobAhead(job); });
  without("uploads_by_creator", [&] { return store_->UseByCreator(); });
  without("trials_unlearned", [&] { return store_->Unlearned(job); });
}

}  // namespace
}  // namespace lathe

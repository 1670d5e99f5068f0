// Behaviour of any Store: jobs.
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "storage/testing/store_fixture.h"

namespace lathe {
namespace {

using StoreJobs = StoreTest;
using absl::StatusCode;

TEST_F(StoreJobs, ReturnsAJobAsItWasCreated) {
  const v1::Job made = store_->CreateJob(TestSpec(), "request", now_).value();
  EXPECT_EQ(made.state(), v1::PENDING);
  EXPECT_EQ(made.create_time().seconds(), 1000);
  EXPECT_FALSE(made.has_end_time());
  const v1::Job read = store_->GetJob(made.name()).value();
  EXPECT_EQ(read.SerializeAsString(), made.SerializeAsString());
  EXPECT_EQ(read.spec().SerializeAsString(), TestSpec().SerializeAsString());
}

TEST_F(StoreJobs, ARepeatedRequestGivesTheSameJob) {
  const std::string first =
      store_->CreateJob(TestSpec(), "request", now_).value().name();
  Open();
  EXPECT_EQ(store_->CreateJob(TestSpec(), "request", now_).value().name(),
            first);
  EXPECT_NE(store_->CreateJob(TestSpec(), "other", now_).value().name(), first);
}

TEST_F(StoreJobs, ACreatorHasNoMoreActiveJobsThanOneMay) {
  const JobCreator alice{"alice", 1};
  const v1::Job first =
      store_->CreateJobOf(alice, TestSpec(), "1", now_).value();
  EXPECT_EQ(first.creator(), "alice");
  EXPECT_EQ(store_->CreateJobOf(alice, TestSpec(), "2", now_).status().code(),
            StatusCode::kFailedPrecondition);
  EXPECT_TRUE(store_->CreateJobOf(alice, TestSpec(), "1", now_).ok());
  EXPECT_TRUE(store_->CreateJobOf({"bob", 1}, TestSpec(), "3", now_).ok());
  ASSERT_TRUE(store_->SetJobState(first.name(), v1::PAUSED, "", now_).ok());
  EXPECT_FALSE(store_->CreateJobOf(alice, TestSpec(), "2", now_).ok());
  ASSERT_TRUE(store_->SetJobState(first.name(), v1::CANCELLED, "", now_).ok());
  EXPECT_TRUE(store_->CreateJobOf(alice, TestSpec(), "2", now_).ok());
}

TEST_F(StoreJobs, UploadsAreChargedToWhoBroughtThemFirst) {
  ASSERT_TRUE(store_->RecordUpload({"a", "alice", 100}).ok());
  ASSERT_TRUE(store_->RecordUpload({"b", "alice", 20}).ok());
  ASSERT_TRUE(store_->RecordUpload({"a", "bob", 100}).ok());
  EXPECT_EQ(store_->UploadedBytes("alice").value(), 120);
  EXPECT_EQ(store_->UploadedBytes("bob").value(), 0);
  ASSERT_TRUE(store_->ForgetUploads({"a", "unknown"}).ok());
  EXPECT_EQ(store_->UploadedBytes("alice").value(), 20);
}

TEST_F(StoreJobs, ARequestIdCannotNameTwoSpecs) {
  ASSERT_TRUE(store_->CreateJob(TestSpec("a"), "request", now_).ok());
  EXPECT_EQ(store_->CreateJob(TestSpec("b"), "request", now_).status().code(),
            StatusCode::kAlreadyExists);
}

TEST_F(StoreJobs, ANameOfAnyOtherFormIsNotFound) {
  const std::string job = MakeJob(1);
  for (const char* name : {"", "jobs", "jobs/", "jobs/0", "jobs/99", "jobs/+1",
                           "jobs/01", "jobs/1 ", "jobs/1/trials/0", "1",
                           "jobs/99999999999999999999", "workers/1"}) {
    EXPECT_EQ(store_->GetJob(name).status().code(), StatusCode::kNotFound)
        << name;
  }
  for (const char* name :
       {"jobs/1", "jobs/1/trials/", "jobs/1/trials/1", "jobs/1/trials/-1",
        "jobs/2/trials/0", "jobs/x/trials/0", "jobs/1/trials/0/x"}) {
    EXPECT_EQ(store_->GetTrial(name).status().code(), StatusCode::kNotFound)
        << name;
  }
  EXPECT_TRUE(store_->GetTrial(job + "/trials/0").ok());
}

TEST_F(StoreJobs, PagesNewestFirstWithoutGapOrRepeat) {
  std::vector<std::string> newest_first;
  for (int i = 0; i < 5; ++i) {
    newest_first.insert(newest_first.begin(), MakeJob(0));
  }
  std::vector<std::string> read;
  std::string token;
  do {
    const Page<v1::Job> page = store_->ListJobs(2, token).value();
    for (const v1::Job& job : page.rows) read.push_back(job.name());
    token = page.next_page_token;
  } while (!token.empty());
  EXPECT_EQ(read, newest_first);
}

TEST_F(StoreJobs, RefusesATokenOfAnotherList) {
  const std::string job = MakeJob(3);
  MakeJob(0);
  const std::string trials_token =
      store_->ListTrials(job, 1, "").value().next_page_token;
  const std::string jobs_token =
      store_->ListJobs(1, "").value().next_page_token;
  EXPECT_TRUE(store_->ListJobs(1, jobs_token).ok());
  for (const std::string& token :
       {trials_token, std::string("x"), std::string("MQ"), jobs_token + "A"}) {
    EXPECT_EQ(store_->ListJobs(1, token).status().code(),
              StatusCode::kInvalidArgument)
        << token;
  }
  EXPECT_EQ(store_->ListTrials(job, 1, jobs_token).status().code(),
            StatusCode::kInvalidArgument);
}

TEST_F(StoreJobs, AFinalStateIsFinal) {
  const std::string job = MakeJob(0);
  ASSERT_TRUE(store_->SetJobState(job, v1::RUNNING, "", now_).ok());
  const v1::Job ended =
      store_->SetJobState(job, v1::CANCELLED, "by a user", now_).value();
  EXPECT_EQ(ended.state_reason(), "by a user");
  EXPECT_EQ(ended.end_time().seconds(), 1000);
  EXPECT_TRUE(store_->SetJobState(job, v1::CANCELLED, "again", now_).ok());
  EXPECT_EQ(store_->SetJobState(job, v1::RUNNING, "", now_).status().code(),
            StatusCode::kFailedPrecondition);
  EXPECT_EQ(store_->GetJob(job).value().state_reason(), "by a user");
}

TEST_F(StoreJobs, TheFirstBaselineWins) {
  const std::string job = MakeJob(1);
  v1::BaselineReport first;
  first.set_activation_stats_digest("first");
  v1::BaselineReport second;
  second.set_activation_stats_digest("second");
  ASSERT_TRUE(store_->SetBaseline(job, first, TestProfile("a")).ok());
  ASSERT_TRUE(store_->SetBaseline(job, second, TestProfile("b")).ok());
  const v1::Job read = store_->GetJob(job).value();
  EXPECT_EQ(read.baseline().activation_stats_digest(), "first");
  EXPECT_EQ(read.profile().cpu(), "a");
  EXPECT_EQ(store_->SetBaseline("jobs/9", first, TestProfile()).code(),
            StatusCode::kNotFound);
}

TEST_F(StoreJobs, OnlyAnEndedJobIsDeletedAndItsNameNeverComesBack) {
  const std::string job = MakeJob(2);
  const GrantedLease lease = Lease();
  EXPECT_EQ(store_->DeleteJob(job).code(), StatusCode::kFailedPrecondition);
  ASSERT_TRUE(store_->SetJobState(job, v1::CANCELLED, "", now_).ok());
  ASSERT_TRUE(store_->DeleteJob(job).ok());
  EXPECT_EQ(store_->GetJob(job).status().code(), StatusCode::kNotFound);
  EXPECT_EQ(store_->AllTrials(job).status().code(), StatusCode::kNotFound);
  EXPECT_EQ(store_->DeleteJob(job).code(), StatusCode::kNotFound);
  EXPECT_TRUE(store_->ActiveAttempts().value().empty());
  EXPECT_TRUE(store_->ReferencedBlobs().value().empty());
  EXPECT_EQ(
      store_->CompleteAttempt(Measured(lease.fence), now_).status().code(),
      StatusCode::kAborted);
  EXPECT_NE(MakeJob(0), job);
}

TEST_F(StoreJobs, KnowsTheBlobsThatJobsReferTo) {
  MakeJob(1, TestSpec("m1"));
  const std::string job = MakeJob(1, TestSpec("m2"));
  v1::BaselineReport baseline;
  baseline.set_activation_stats_digest("stats");
  ASSERT_TRUE(store_->SetBaseline(job, baseline, TestProfile()).ok());
  EXPECT_EQ(store_->ReferencedBlobs().value(),
            (std::vector<std::string>{"data", "m1", "m2", "stats"}));
}

TEST_F(StoreJobs, AnAgentsSnapshotIsReplacedAndReadBack) {
  const std::string job = MakeJob(0);
  EXPECT_FALSE(store_->LoadAgentState(job).value().has_value());
  ASSERT_TRUE(store_->SaveAgentState(job, 1, "one").ok());
  ASSERT_TRUE(store_->SaveAgentState(job, 2, std::string("t\0o", 3)).ok());
  const AgentState state = store_->LoadAgentState(job).value().value();
  EXPECT_EQ(state.learn_sequence, 2);
  EXPECT_EQ(state.bytes, std::string("t\0o", 3));
  EXPECT_EQ(store_->SaveAgentState("jobs/9", 1, "").code(),
            StatusCode::kNotFound);
}

TEST_F(StoreJobs, AWorkerKeepsItsNameAcrossRestarts) {
  const WorkerRecord first = store_->RecordWorker("s1", {}, now_).value();
  EXPECT_NE(store_->RecordWorker("s2", {}, now_).value().name, first.name);
  EXPECT_FALSE(first.is_cordoned);
  ASSERT_TRUE(store_->SetCordoned(first.name, true).ok());
  Open();
  const WorkerRecord again = store_->RecordWorker("s1", {}, now_).value();
  EXPECT_EQ(again.name, first.name);
  EXPECT_TRUE(again.is_cordoned);
  EXPECT_EQ(store_->SetCordoned("workers/9", true).code(),
            StatusCode::kNotFound);
}

}  // namespace
}  // namespace lathe

#include "server/job_explanation.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace lathe {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

v1::HardwareProfile Machine(const std::string& cpu) {
  v1::HardwareProfile profile;
  profile.set_cpu(cpu);
  profile.set_isa("avx2");
  profile.set_onednn("2.6.3");
  return profile;
}

v1::WorkerInfo Worker(const std::string& state, const std::string& cpu = "A") {
  v1::WorkerInfo worker;
  worker.set_state(state);
  *worker.mutable_profile() = Machine(cpu);
  return worker;
}

// A job on machine A with 5 pending trials and a measured baseline.
JobCircumstances RunningJob(std::vector<v1::WorkerInfo> workers) {
  JobCircumstances now;
  now.job.set_name("jobs/2");
  now.job.set_state(v1::RUNNING);
  now.job.mutable_spec()->set_trials(20);
  now.job.mutable_counts()->set_pending(5);
  now.job.mutable_counts()->set_measured(3);
  now.job.mutable_baseline();
  *now.job.mutable_profile() = Machine("A");
  now.workers = std::move(workers);
  now.now = absl::FromUnixSeconds(1000);
  return now;
}

std::vector<std::string> CodesOf(const v1::JobExplanation& explanation) {
  std::vector<std::string> codes;
  for (const auto& cause : explanation.causes()) codes.push_back(cause.code());
  return codes;
}

std::vector<std::string> Codes(const JobCircumstances& now) {
  return CodesOf(ExplainCircumstances(now));
}

TEST(JobExplanation, SaysThatTheQuotaIsUsedUp) {
  JobCircumstances now = RunningJob({Worker("idle")});
  now.job.set_creator("alice");
  now.most_running_trials = 4;
  now.creators_running = 3;
  EXPECT_THAT(Codes(now), ElementsAre("WAITS_FOR_LEASE"));
  now.creators_running = 4;
  EXPECT_THAT(Codes(now), ElementsAre("QUOTA"));
  EXPECT_THAT(ExplainCircumstances(now).causes(0).text(),
              HasSubstr("quota: 4 trials of alice"));
}

TEST(JobExplanation, SaysWhatTheTrialsThatRunAreAt) {
  JobCircumstances now = RunningJob({Worker("busy")});
  now.job.mutable_counts()->set_leased(4);
  now.stages = {{"", 1}, {"evaluating", 2}, {"fetching", 1}};
  EXPECT_THAT(ExplainCircumstances(now).causes(0).text(),
              HasSubstr("4 trials run (2 evaluating, 1 fetching), 3 of 20"));
}

TEST(JobExplanation, SaysThatNoWorkerIsThere) {
  EXPECT_THAT(Codes(RunningJob({})), ElementsAre("NO_WORKERS"));
}

TEST(JobExplanation, NamesBothMachinesWhenNoWorkerHasTheJobs) {
  const v1::JobExplanation explanation =
      ExplainCircumstances(RunningJob({Worker("idle", "B")}));
  EXPECT_THAT(CodesOf(explanation), ElementsAre("NO_MATCHING_PROFILE"));
  EXPECT_THAT(explanation.causes(0).text(), HasSubstr("A, avx2"));
  EXPECT_THAT(explanation.causes(0).text(), HasSubstr("B, avx2"));
}

TEST(JobExplanation, SaysWhyNoWorkerOfTheMachineTakesTrials) {
  EXPECT_THAT(
      Codes(RunningJob({Worker("cordoned"), Worker("draining"), Worker("lost"),
                        Worker("ending"), Worker("idle", "B")})),
      ElementsAre("WORKERS_LOST", "WORKERS_CORDONED", "WORKERS_DRAINING",
                  "WORKERS_END_SOON"));
}

TEST(JobExplanation, ACordonedWorkerIsNotBlamedAndCanBeLetIn) {
  const v1::JobExplanation explanation =
      ExplainCircumstances(RunningJob({Worker("cordoned")}));
  ASSERT_EQ(explanation.causes_size(), 1);
  EXPECT_THAT(explanation.causes(0).text(), HasSubstr("by hand"));
  EXPECT_THAT(explanation.causes(0).text(), HasSubstr("`lathe uncordon"));
}

TEST(JobExplanation, ALostWorkerDoesNotMatterWhereAnotherWorks) {
  JobCircumstances now = RunningJob({Worker("lost"), Worker("busy")});
  now.job.mutable_counts()->set_leased(1);
  const v1::JobExplanation explanation = ExplainCircumstances(now);
  EXPECT_THAT(CodesOf(explanation), ElementsAre("ADVANCES"));
  EXPECT_TRUE(explanation.is_advancing());
}

TEST(JobExplanation, NamesTheOlderJobThatComesFirst) {
  JobCircumstances now = RunningJob({Worker("busy")});
  now.job_ahead = "jobs/1";
  const v1::JobExplanation explanation = ExplainCircumstances(now);
  EXPECT_THAT(CodesOf(explanation), ElementsAre("BEHIND_JOB"));
  EXPECT_THAT(explanation.causes(0).text(), HasSubstr("jobs/1"));
  EXPECT_FALSE(explanation.is_advancing());
}

TEST(JobExplanation, APausedAndAnEndedJobNeedNoOtherCause) {
  JobCircumstances now = RunningJob({});
  now.job.set_state(v1::PAUSED);
  EXPECT_THAT(Codes(now), ElementsAre("PAUSED"));
  now.job.set_state(v1::JOB_FAILED);
  now.job.set_state_reason("no layer");
  const v1::JobExplanation explanation = ExplainCircumstances(now);
  EXPECT_THAT(CodesOf(explanation), ElementsAre("ENDED"));
  EXPECT_THAT(explanation.causes(0).text(), HasSubstr("no layer"));
}

TEST(JobExplanation, TellsHowLongTheAgentHasBeenThinking) {
  JobCircumstances now = RunningJob({Worker("idle")});
  now.job.mutable_counts()->clear_pending();
  now.loop.thinking_since = now.now - absl::Seconds(42);
  const v1::JobExplanation explanation = ExplainCircumstances(now);
  EXPECT_THAT(CodesOf(explanation), ElementsAre("AGENT_THINKS"));
  EXPECT_THAT(explanation.causes(0).text(), HasSubstr("42 s"));
  EXPECT_TRUE(explanation.is_advancing());
}

TEST(JobExplanation, TellsWhyTheBaselineWasNotMeasured) {
  JobCircumstances now = RunningJob({Worker("idle")});
  now.job.clear_baseline();
  now.job.clear_profile();
  now.baseline.emplace();
  now.baseline->set_state(v1::TRIAL_PENDING);
  now.baseline->set_attempts(2);
  now.baseline->set_state_reason("out of memory");
  const v1::JobExplanation explanation = ExplainCircumstances(now);
  EXPECT_THAT(CodesOf(explanation), ElementsAre("TRIALS_FAIL"));
  EXPECT_THAT(explanation.causes(0).text(), HasSubstr("out of memory"));
}

TEST(JobExplanation, AnErrorOfTheSearchComesFirst) {
  JobCircumstances now = RunningJob({Worker("idle")});
  now.loop.error = "RESOURCE_EXHAUSTED: disk full";
  EXPECT_THAT(Codes(now), Contains("SEARCH_ERROR"));
}

TEST(JobExplanation, ThereIsAlwaysACause) {
  EXPECT_THAT(Codes(RunningJob({Worker("idle")})),
              ElementsAre("WAITS_FOR_LEASE"));
}

}  // namespace
}  // namespace lathe

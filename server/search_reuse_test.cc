// What a search takes from earlier ones, through the API.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "server/testing/server_fixture.h"

namespace lathe::testing {
namespace {

using Search = ServerTest;

TEST_F(Search, APlanThatWasMeasuredInAnotherJobIsNotMeasuredAgain) {
  StartServer();
  const std::string digest = Upload("a finished model");
  ScriptedWorker worker = NewWorker();
  const std::string first = CreateJob(Spec(/*trials=*/8, "uniform"));
  ASSERT_TRUE(Eventually([&] {
    for (const v1::Lease& lease : worker.Lease(1, absl::Milliseconds(20))) {
      EXPECT_TRUE(worker.CompleteWithArtifact(lease, digest).ok());
    }
    return GetJob(first).state() == v1::DONE;
  }));
  // The agent's plans are the same whatever it learns.
  const std::string second = CreateJob(Spec(/*trials=*/8, "uniform"));
  EXPECT_EQ(RunToEnd(worker, second).state(), v1::DONE);
  int reused = 0;
  for (const v1::Trial& trial : Trials(second)) {
    if (trial.reused_from().empty()) continue;
    ++reused;
    EXPECT_EQ(trial.attempts(), 0);
    EXPECT_EQ(trial.artifact_digest(), digest);
    EXPECT_GT(trial.learn_sequence(), 0);
  }
  EXPECT_GE(reused, 3);
  EXPECT_EQ(reused, GetJob(first).counts().measured() - 1);
}

TEST_F(Search, AJobBeginsWithTheFrontierOfAnEarlierOne) {
  StartServer();
  ScriptedWorker worker = NewWorker();
  const std::string first = CreateJob(Spec(/*trials=*/40));
  RunToEnd(worker, first);
  v1::JobSpec spec = Spec(/*trials=*/12);
  spec.set_seed(8);
  spec.add_warm_start_jobs(first);
  const std::string second = CreateJob(spec);
  const v1::Job done = RunToEnd(worker, second);
  EXPECT_EQ(done.state(), v1::DONE);
  int warm = 0;
  for (const v1::Trial& trial : Trials(second)) {
    const std::string& source = trial.proposal().source();
    if (source.rfind("warm-start/" + first, 0) != 0) continue;
    ++warm;
    EXPECT_EQ(trial.number(), warm);
    v1::GetTrialRequest request;
    request.set_name(source.substr(11));
    v1::Trial origin;
    ASSERT_TRUE(search_->GetTrial(NewContext().get(), request, &origin).ok());
    EXPECT_EQ(trial.plan_digest(), origin.plan_digest());
    EXPECT_EQ(trial.state(), v1::TRIAL_MEASURED);
  }
  EXPECT_EQ(warm, 3);
  spec.add_warm_start_jobs("jobs/99");
  v1::Job job;
  EXPECT_EQ(ErrorOf(TryCreateJob(spec, "other", &job)).reason, "JOB_NOT_FOUND");
}

TEST_F(Search, AJobBeginsWithWhatTheAgentOfAnEarlierOneHasLearned) {
  StartServer();
  ScriptedWorker worker = NewWorker();
  const std::string first = CreateJob(Spec(/*trials=*/30, "rl"));
  RunToEnd(worker, first);
  // Neither has learned anything of its own, so that their policies differ
  // only by what they began with.
  std::vector<std::string> explanations;
  for (const bool is_warm : {false, true, true}) {
    v1::JobSpec spec = Spec(/*trials=*/1, "rl");
    if (is_warm) spec.add_warm_start_jobs(first);
    v1::AnswerBudgetRequest request;
    request.set_name(CreateJob(spec));
    request.mutable_budget()->set_max_latency_ratio(0.5);
    RunToEnd(worker, request.name());
    v1::Proposal answer;
    ASSERT_TRUE(
        search_->AnswerBudget(NewContext().get(), request, &answer).ok());
    explanations.push_back(answer.explanation());
  }
  EXPECT_NE(explanations[0], explanations[1]);
  EXPECT_EQ(explanations[1], explanations[2]);
}

}  // namespace
}  // namespace lathe::testing

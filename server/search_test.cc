// Whole searches through the API: jobs, trials, frontier, events.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "agent/frontier.h"
#include "proto/plan.h"
#include "server/testing/server_fixture.h"
#include "server/testing/simulated_network.h"

namespace lathe::testing {
namespace {

using Search = ServerTest;

TEST_F(Search, RunsToDoneWithEveryTrialMeasuredOnceAndLearnedInOrder) {
  StartServer();
  const std::string job = CreateJob(Spec(/*trials=*/12));
  ScriptedWorker worker = NewWorker();
  const v1::Job done = RunToEnd(worker, job);
  EXPECT_EQ(done.state(), v1::DONE);
  EXPECT_EQ(done.counts().measured(), 12);
  EXPECT_EQ(done.counts().pending() + done.counts().leased(), 0);
  EXPECT_EQ(done.profile().cpu(), "simulated");
  EXPECT_TRUE(done.has_end_time());
  std::set<int64_t> sequences;
  std::set<std::string> plans;
  for (const v1::Trial& trial : Trials(job)) {
    EXPECT_EQ(trial.state(), v1::TRIAL_MEASURED);
    EXPECT_TRUE(trial.has_reward()) << trial.name();
    sequences.insert(trial.learn_sequence());
    plans.insert(trial.plan_digest());
  }
  EXPECT_EQ(plans.size(), 12u);
  EXPECT_EQ(*sequences.begin(), 1);
  EXPECT_EQ(*sequences.rbegin(), 12);
}

TEST_F(Search, TheFrontierEqualsTheOneRecomputedFromTheTrials) {
  StartServer();
  const std::string job = CreateJob(Spec(/*trials=*/30));
  ScriptedWorker worker = NewWorker();
  RunToEnd(worker, job);
  const std::vector<v1::Trial> trials = Trials(job);
  for (const std::vector<std::string>& objectives :
       {std::vector<std::string>{"latency"}, {"size"}, {"latency", "size"}}) {
    v1::GetFrontierRequest request;
    request.set_name(job);
    for (const std::string& name : objectives) request.add_objectives(name);
    v1::Frontier frontier;
    ASSERT_TRUE(
        search_->GetFrontier(NewContext().get(), request, &frontier).ok());
    std::vector<std::string> expected;
    for (const int i : ParetoFrontier(trials, objectives)) {
      expected.push_back(trials[i].name());
    }
    std::vector<std::string> actual;
    for (const v1::Trial& t : frontier.trials()) actual.push_back(t.name());
    EXPECT_EQ(actual, expected);
    EXPECT_EQ(frontier.baseline().number(), 0);
    EXPECT_GT(frontier.hypervolume(), 0);
  }
}

TEST_F(Search, AFrontierOfOtherHardwareIsRefusedNamingBoth) {
  StartServer();
  const std::string job = CreateJob(Spec(/*trials=*/3));
  ScriptedWorker worker = NewWorker();
  const v1::Job done = RunToEnd(worker, job);
  v1::GetFrontierRequest request;
  request.set_name(job);
  *request.mutable_profile() = done.profile();
  request.mutable_profile()->set_threads(64);
  v1::Frontier frontier;
  EXPECT_TRUE(
      search_->GetFrontier(NewContext().get(), request, &frontier).ok());
  request.mutable_profile()->set_cpu("another");
  const CallError error =
      ErrorOf(search_->GetFrontier(NewContext().get(), request, &frontier));
  EXPECT_EQ(error.code, grpc::StatusCode::FAILED_PRECONDITION);
  EXPECT_EQ(error.reason, "PROFILE_NOT_MEASURED");
  EXPECT_THAT(error.message, ::testing::HasSubstr("simulated"));
  EXPECT_THAT(error.message, ::testing::HasSubstr("another"));
}

TEST_F(Search, EveryFrontierMemberWasAskedForItsModel) {
  StartServer();
  const std::string job = CreateJob(Spec(/*trials=*/20));
  ScriptedWorker worker = NewWorker();
  const std::string digest = Upload("a finished model");
  for (int i = 0; i < 20; ++i) {
    const std::vector<v1::Lease> leases = worker.Lease();
    ASSERT_EQ(leases.size(), 1u);
    v1::CompleteTrialResponse first;
    v1::CompleteTrialResponse again;
    ASSERT_TRUE(worker.Offer(leases[0], &first).ok());
    ASSERT_TRUE(worker.Offer(leases[0], &again).ok());
    EXPECT_EQ(first.upload_artifact(), again.upload_artifact());
    if (!first.upload_artifact()) continue;
    EXPECT_TRUE(worker.CompleteWithArtifact(leases[0], digest).ok());
  }
  for (const std::vector<std::string>& objectives :
       {std::vector<std::string>{"latency"}, {"latency", "size"}}) {
    v1::GetFrontierRequest request;
    request.set_name(job);
    for (const std::string& name : objectives) request.add_objectives(name);
    v1::Frontier frontier;
    ASSERT_TRUE(
        search_->GetFrontier(NewContext().get(), request, &frontier).ok());
    for (const v1::Trial& trial : frontier.trials()) {
      EXPECT_EQ(trial.artifact_digest(), digest) << trial.name();
    }
  }
}

TEST_F(Search, TheBestConfigurationMeetsItsBoundsOrSaysWhyNoneDoes) {
  StartServer();
  const std::string job = CreateJob(Spec(/*trials=*/30));
  ScriptedWorker worker = NewWorker();
  RunToEnd(worker, job);
  v1::GetBestConfigurationRequest request;
  request.set_name(job);
  request.set_max_latency_ratio(0.6);
  v1::BestConfiguration best;
  ASSERT_TRUE(
      search_->GetBestConfiguration(NewContext().get(), request, &best).ok());
  ASSERT_TRUE(best.has_trial());
  for (const v1::Trial& trial : Trials(job)) {
    if (trial.measurement().latency_ratio() > 0.6) continue;
    EXPECT_LE(trial.measurement().accuracy(),
              best.trial().measurement().accuracy());
  }
  request.set_max_latency_ratio(1e-6);
  ASSERT_TRUE(
      search_->GetBestConfiguration(NewContext().get(), request, &best).ok());
  EXPECT_FALSE(best.has_trial());
  ASSERT_GT(best.near_misses_size(), 0);
  EXPECT_FALSE(best.near_misses(0).why_not().empty());
}

TEST_F(Search, CreateJobRepeatedWithItsRequestIdMakesOneJob) {
  StartServer();
  v1::JobSpec spec = Spec(/*trials=*/3);
  v1::Job first;
  v1::Job again;
  ASSERT_TRUE(TryCreateJob(spec, "once", &first).ok());
  ASSERT_TRUE(TryCreateJob(spec, "once", &again).ok());
  EXPECT_EQ(first.name(), again.name());
  spec.set_trials(4);
  const CallError error = ErrorOf(TryCreateJob(spec, "once", &again));
  EXPECT_EQ(error.code, grpc::StatusCode::ALREADY_EXISTS);
  EXPECT_EQ(error.reason, "REQUEST_ID_REUSED");
}

TEST_F(Search, ValidateOnlyStoresNothing) {
  StartServer();
  v1::CreateJobRequest request;
  *request.mutable_spec() = Spec(/*trials=*/3);
  request.set_validate_only(true);
  v1::Job job;
  ASSERT_TRUE(search_->CreateJob(NewContext().get(), request, &job).ok());
  EXPECT_EQ(job.name(), "");
  EXPECT_EQ(job.spec().threads(), 1);
  v1::ListJobsResponse jobs;
  ASSERT_TRUE(search_->ListJobs(NewContext().get(), {}, &jobs).ok());
  EXPECT_EQ(jobs.jobs_size(), 0);
}

TEST_F(Search, AJobBeyondTheMostAtOnceSaysThatItWaitsAndRunsLater) {
  ServerOptions options;
  options.state_folder = folder_;
  options.lease_times.sweep_interval = absl::Milliseconds(10);
  options.most_searches = 1;
  ServeWith(options);
  const std::string first = CreateJob(Spec(/*trials=*/2));
  const std::string second = CreateJob(Spec(/*trials=*/2));
  v1::GetJobRequest request;
  request.set_name(second);
  v1::JobExplanation explanation;
  ASSERT_TRUE(
      search_->ExplainJob(NewContext().get(), request, &explanation).ok());
  ASSERT_GT(explanation.causes_size(), 0);
  EXPECT_EQ(explanation.causes(0).code(), "SEARCH_ERROR");
  EXPECT_THAT(explanation.causes(0).text(),
              ::testing::HasSubstr("1 jobs at once"));
  ScriptedWorker worker = NewWorker();
  EXPECT_EQ(RunToEnd(worker, first).state(), v1::DONE);
  EXPECT_EQ(RunToEnd(worker, second).state(), v1::DONE);
}

TEST_F(Search, AUsersPlanJoinsTheSearchOnce) {
  StartServer();
  const std::string job = CreateJob(Spec(/*trials=*/4));
  ScriptedWorker worker = NewWorker();
  v1::CreateTrialRequest request;
  request.set_parent(job);
  *request.mutable_plan() = BaselinePlan(SimulatedSpace());
  v1::Trial trial;
  EXPECT_EQ(
      ErrorOf(search_->CreateTrial(NewContext().get(), request, &trial)).reason,
      "BASELINE_MISSING");
  RunTrials(worker, 1);
  request.mutable_plan()->mutable_layers(0)->set_keep_ratio(0.7);
  EXPECT_EQ(
      ErrorOf(search_->CreateTrial(NewContext().get(), request, &trial)).reason,
      "PLAN_INVALID");
  request.mutable_plan()->mutable_layers(0)->set_keep_ratio(0.5);
  ASSERT_TRUE(search_->CreateTrial(NewContext().get(), request, &trial).ok());
  v1::Trial again;
  ASSERT_TRUE(search_->CreateTrial(NewContext().get(), request, &again).ok());
  EXPECT_EQ(trial.name(), again.name());
  EXPECT_EQ(RunToEnd(worker, job).state(), v1::DONE);
  EXPECT_EQ(GetTrial(job, trial.number()).state(), v1::TRIAL_MEASURED);
  EXPECT_GT(GetTrial(job, trial.number()).learn_sequence(), 0);
}

TEST_F(Search, AJobBeginsWithItsFirstPlans) {
  StartServer();
  v1::JobSpec spec = Spec(/*trials=*/2);
  v1::CompressionPlan& plan = *spec.add_first_plans();
  plan = BaselinePlan(SimulatedSpace());
  plan.mutable_layers(1)->set_keep_ratio(0.5);
  const std::string job = CreateJob(spec);
  ScriptedWorker worker = NewWorker();
  EXPECT_EQ(RunToEnd(worker, job).state(), v1::DONE);
  const std::vector<v1::Trial> trials = Trials(job);
  ASSERT_EQ(trials.size(), 2u);
  EXPECT_EQ(trials[1].plan_digest(), PlanDigest(plan));
  EXPECT_EQ(trials[1].state(), v1::TRIAL_MEASURED);
}

TEST_F(Search, TheAgentAnswersForABudgetOfAJobThatRunsOrHasEnded) {
  StartServer();
  const std::string job = CreateJob(Spec(/*trials=*/15, "rl"));
  v1::AnswerBudgetRequest request;
  request.set_name(job);
  request.mutable_budget()->set_max_latency_ratio(0.5);
  v1::Proposal answer;
  const auto ask = [&] {
    return search_->AnswerBudget(NewContext().get(), request, &answer);
  };
  EXPECT_EQ(ErrorOf(ask()).reason, "NOTHING_MEASURED");
  ScriptedWorker worker = NewWorker();
  RunTrials(worker, 6);
  for (const bool has_ended : {false, true}) {
    if (has_ended) RunToEnd(worker, job);
    const size_t trials = Trials(job).size();
    ASSERT_TRUE(ask().ok());
    EXPECT_TRUE(ValidatePlan(SimulatedSpace(), answer.plan()).ok());
    EXPECT_LE(answer.predicted_latency_us(),
              0.5 * GetTrial(job, 0).measurement().latency_us() * (1 + 1e-6));
    if (has_ended) EXPECT_EQ(Trials(job).size(), trials);
  }
  request.mutable_budget()->set_max_latency_ratio(1e-4);
  EXPECT_EQ(ErrorOf(ask()).reason, "BUDGET_UNREACHABLE");
  request.mutable_budget()->set_max_latency_ratio(-1);
  EXPECT_EQ(ErrorOf(ask()).reason, "FIELD_INVALID");
}

TEST_F(Search, AnAgentThatKnowsOnlyWhatWasMeasuredSaysSo) {
  StartServer();
  v1::AnswerBudgetRequest request;
  request.set_name(CreateJob(Spec(/*trials=*/2)));
  ScriptedWorker worker = NewWorker();
  RunToEnd(worker, request.name());
  v1::Proposal answer;
  const CallError error =
      ErrorOf(search_->AnswerBudget(NewContext().get(), request, &answer));
  EXPECT_EQ(error.code, grpc::StatusCode::UNIMPLEMENTED);
  EXPECT_EQ(error.reason, "AGENT_ANSWERS_NOT");
}

TEST_F(Search, EachProposalSaysHowLongTheAgentThought) {
  StartServer();
  const std::string job = CreateJob(Spec(/*trials=*/8, "rl"));
  ScriptedWorker worker = NewWorker();
  RunToEnd(worker, job);
  for (const v1::Trial& trial : Trials(job)) {
    if (trial.number() == 0) continue;
    EXPECT_GT(trial.proposal().thinking_seconds(), 0) << trial.name();
  }
}

TEST_F(Search, TheAgentsProposalsDoNotDependOnTheReportSplit) {
  // Two jobs whose workers report other report accuracies: the same plans.
  StartServer();
  ScriptedWorker worker = NewWorker();
  std::vector<std::vector<std::string>> plans;
  for (const double report_accuracy : {0.1, 0.9}) {
    v1::JobSpec spec = Spec(/*trials=*/15, "greedy");
    // Another dataset, so that nothing is reused.
    spec.mutable_dataset()->set_digest(
        Upload(absl::StrCat("data ", report_accuracy)));
    const std::string job = CreateJob(spec);
    for (int i = 0; i < 15; ++i) {
      const std::vector<v1::Lease> leases = worker.Lease();
      ASSERT_EQ(leases.size(), 1u);
      v1::Outcome outcome = SimulatedOutcome(leases[0]);
      outcome.mutable_measurement()->set_report_accuracy(report_accuracy);
      outcome.mutable_measurement()->set_report_correct(std::llround(
          report_accuracy * outcome.measurement().report_samples()));
      ASSERT_TRUE(worker.Complete(leases[0].fence(), outcome).ok());
      ASSERT_TRUE(Eventually([&] {
        const v1::Trial trial = GetTrial(job, leases[0].trial_number());
        return trial.learn_sequence() > 0;
      }));
    }
    std::vector<std::string>& digests = plans.emplace_back();
    for (const v1::Trial& trial : Trials(job)) {
      digests.push_back(trial.plan_digest());
    }
  }
  EXPECT_EQ(plans[0], plans[1]);
}

TEST_F(Search, PagesOfTrialsJoinToAll) {
  StartServer();
  const std::string job = CreateJob(Spec(/*trials=*/9));
  ScriptedWorker worker = NewWorker();
  RunToEnd(worker, job);
  v1::ListTrialsRequest request;
  request.set_parent(job);
  request.set_page_size(4);
  std::vector<int64_t> numbers;
  do {
    v1::ListTrialsResponse page;
    ASSERT_TRUE(search_->ListTrials(NewContext().get(), request, &page).ok());
    EXPECT_LE(page.trials_size(), 4);
    for (const v1::Trial& t : page.trials()) numbers.push_back(t.number());
    request.set_page_token(page.next_page_token());
  } while (!request.page_token().empty());
  EXPECT_THAT(numbers, ::testing::ElementsAre(0, 1, 2, 3, 4, 5, 6, 7, 8));
}

TEST_F(Search, WatchSendsEveryEventOnceAndResumesExactly) {
  StartServer();
  const std::string job = CreateJob(Spec(/*trials=*/10));
  std::vector<v1::Event> live;
  std::thread watcher([&] { live = Watch(job, /*sequence=*/0); });
  ScriptedWorker worker = NewWorker();
  RunToEnd(worker, job);
  watcher.join();
  ASSERT_GT(live.size(), 20u);
  for (size_t i = 0; i < live.size(); ++i) {
    EXPECT_EQ(live[i].sequence(), static_cast<int64_t>(i) + 1);
  }
  EXPECT_EQ(live.back().job().state(), v1::DONE);
  const std::vector<v1::Event> rest = Watch(job, live.size() - 5);
  ASSERT_EQ(rest.size(), 5u);
  EXPECT_EQ(rest[0].sequence(), static_cast<int64_t>(live.size()) - 4);
}

TEST_F(Search, DeletingTakesOnlyJobsThatHaveEnded) {
  StartServer();
  const std::string job = CreateJob(Spec(/*trials=*/2));
  v1::GetJobRequest request;
  request.set_name(job);
  google::protobuf::Empty empty;
  EXPECT_EQ(
      ErrorOf(search_->DeleteJob(NewContext().get(), request, &empty)).reason,
      "JOB_NOT_ENDED");
  ScriptedWorker worker = NewWorker();
  RunToEnd(worker, job);
  EXPECT_TRUE(search_->DeleteJob(NewContext().get(), request, &empty).ok());
  v1::Job gone;
  EXPECT_EQ(ErrorOf(search_->GetJob(NewContext().get(), request, &gone)).reason,
            "JOB_NOT_FOUND");
}

TEST_F(Search, AnImpossibleBudgetFailsTheJobWithTheAgentsReason) {
  StartServer();
  v1::JobSpec spec = Spec(/*trials=*/5, "greedy");
  spec.mutable_budget()->set_max_latency_ratio(1e-4);
  const std::string job = CreateJob(spec);
  ScriptedWorker worker = NewWorker();
  const v1::Job failed = RunToEnd(worker, job);
  EXPECT_EQ(failed.state(), v1::JOB_FAILED);
  EXPECT_THAT(failed.state_reason(), ::testing::HasSubstr("budget"));
}

TEST_F(Search, EndsWhenTheSpaceIsUsedUp) {
  StartServer();
  const std::string job = CreateJob(Spec(/*trials=*/1000));
  ScriptedWorker worker = NewWorker();
  const v1::Job done = RunToEnd(worker, job);
  EXPECT_EQ(done.state(), v1::DONE);
  // All 216 plans; the baseline's is also trial 0.
  EXPECT_GE(done.counts().measured(), 216);
  EXPECT_LE(done.counts().measured(), 217);
}

}  // namespace
}  // namespace lathe::testing

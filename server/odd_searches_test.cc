// Searches in which there is little to choose, or nothing that works; and the
// solver's answer for a job's budget.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <string>

#include "absl/memory/memory.h"
#include "proto/confirmation.h"
#include "proto/names.h"
#include "server/testing/server_fixture.h"
#include "server/testing/simulated_network.h"

namespace lathe::testing {
namespace {

using ::testing::HasSubstr;

class OddSearches : public ServerTest {
 protected:
  // Runs the job to its end; `work` answers each lease.
  v1::Job Run(const v1::JobSpec& spec,
              const std::function<grpc::Status(const v1::Lease&)>& work) {
    const std::string job = CreateJob(spec);
    const bool has_ended = Eventually([&] {
      for (const v1::Lease& lease :
           worker_->Lease(/*slots=*/1, absl::Milliseconds(20))) {
        EXPECT_TRUE(work(lease).ok());
      }
      return IsFinal(GetJob(job).state());
    });
    EXPECT_TRUE(has_ended);
    return GetJob(job);
  }

  void Start() {
    StartServer();
    // Neither copied nor moved.
    worker_ = absl::WrapUnique(new ScriptedWorker(NewWorker()));
  }

  std::unique_ptr<ScriptedWorker> worker_;
};

TEST_F(OddSearches, ABudgetBelowTheLeastFailsTheJobAndSaysTheLeast) {
  Start();
  v1::JobSpec spec = Spec(/*trials=*/5, "rl");
  spec.mutable_budget()->set_max_latency_ratio(0.001);
  const v1::Job job = Run(
      spec, [&](const v1::Lease& lease) { return worker_->Complete(lease); });
  EXPECT_EQ(job.state(), v1::JOB_FAILED);
  EXPECT_THAT(job.state_reason(), HasSubstr("below the least"));
  EXPECT_THAT(job.state_reason(), HasSubstr("0.001"));
}

TEST_F(OddSearches, WhenNoPlanWorksTheOriginalIsTheFrontier) {
  Start();
  for (const char* agent : {"rl", "nsga2", "ilp"}) {
    const v1::Job job = Run(Spec(/*trials=*/8, agent), [&](const auto& lease) {
      return lease.trial_number() == 0
                 ? worker_->Complete(lease)
                 : worker_->Fail(lease, v1::INFEASIBLE, "no kernel");
    });
    EXPECT_EQ(job.state(), v1::DONE) << job.state_reason();
    EXPECT_EQ(job.counts().infeasible(), 7);
    v1::GetFrontierRequest request;
    request.set_name(job.name());
    v1::Frontier frontier;
    ASSERT_TRUE(
        search_->GetFrontier(NewContext().get(), request, &frontier).ok());
    ASSERT_EQ(frontier.trials_size(), 1);
    EXPECT_EQ(frontier.trials(0).number(), 0);
    EXPECT_EQ(frontier.hypervolume(), 0);
  }
}

TEST_F(OddSearches, ANetworkOfOneLayerEndsWhenItsChoicesAreMeasured) {
  Start();
  for (const int choices : {0, 3}) {
    const v1::Job job = Run(Spec(/*trials=*/50, "rl"), [&](const auto& lease) {
      v1::Outcome outcome = SimulatedOutcome(lease);
      if (lease.trial_number() == 0) {
        v1::SearchSpace& space = *outcome.mutable_baseline()->mutable_space();
        space.mutable_layers()->DeleteSubrange(1, space.layers_size() - 1);
        v1::Layer& layer = *space.mutable_layers(0);
        layer.mutable_precisions()->DeleteSubrange(1,
                                                   layer.precisions_size() - 1);
        layer.mutable_keep_ratios()->Truncate(1);
        for (int i = 0; i < choices; ++i)
          layer.add_keep_ratios(0.75 - 0.25 * i);
        outcome.mutable_baseline()->mutable_latency_table()->clear_entries();
      }
      return worker_->Complete(lease.fence(), outcome);
    });
    EXPECT_EQ(job.state(), v1::DONE) << job.state_reason();
    EXPECT_EQ(job.counts().measured(), 1 + choices);
  }
}

TEST_F(OddSearches, TheSolversAnswerForTheBudgetKeepsItsModel) {
  Start();
  const std::string digest = Upload("a finished model");
  v1::JobSpec spec = Spec(/*trials=*/30, "rl");
  spec.mutable_budget()->set_max_latency_ratio(0.6);
  const v1::Job job = Run(spec, [&](const v1::Lease& lease) {
    v1::CompleteTrialResponse answer;
    const grpc::Status offered = worker_->Offer(lease, &answer);
    return answer.upload_artifact()
               ? worker_->CompleteWithArtifact(lease, digest)
               : offered;
  });
  EXPECT_EQ(job.state(), v1::DONE) << job.state_reason();
  int answers = 0;
  for (const v1::Trial& trial : Trials(job.name())) {
    if (!IsSolversAnswer(trial)) continue;
    ++answers;
    EXPECT_EQ(trial.artifact_digest(), digest) << trial.name();
  }
  EXPECT_EQ(answers, 1);
  v1::GetBestConfigurationRequest request;
  request.set_name(job.name());
  request.set_max_latency_ratio(0.6);
  v1::BestConfiguration best;
  ASSERT_TRUE(
      search_->GetBestConfiguration(NewContext().get(), request, &best).ok());
  EXPECT_TRUE(best.has_solvers_answer());
  EXPECT_FALSE(best.reason().empty());
}

}  // namespace
}  // namespace lathe::testing

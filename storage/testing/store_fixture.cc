#include "storage/testing/store_fixture.h"

#include <unistd.h>

#include <filesystem>

#include "absl/strings/str_cat.h"

namespace lathe {

std::string FreshFolder() {
  const testing::TestInfo* test =
      testing::UnitTest::GetInstance()->current_test_info();
  std::string folder =
      absl::StrCat(testing::TempDir(), "/lathe_storage_", getpid(), "/",
                   test->test_suite_name(), ".", test->name());
  std::filesystem::remove_all(folder);
  std::filesystem::create_directories(folder);
  return folder;
}

v1::HardwareProfile TestProfile(const std::string& cpu) {
  v1::HardwareProfile profile;
  profile.set_cpu(cpu);
  profile.set_isa("avx2");
  profile.set_threads(1);
  profile.set_onednn("2.6.3");
  return profile;
}

v1::JobSpec TestSpec(const std::string& model) {
  v1::JobSpec spec;
  spec.set_model_digest(model);
  spec.mutable_dataset()->set_digest("data");
  spec.set_agent("rl");
  spec.set_trials(10);
  return spec;
}

v1::Proposal TestProposal(int bits) {
  v1::Proposal proposal;
  v1::LayerChoice* choice = proposal.mutable_plan()->add_layers();
  choice->set_precision(v1::INT8);
  choice->set_weight_bits(bits);
  choice->set_keep_ratio(1);
  proposal.set_source("test");
  return proposal;
}

v1::Measurement TestMeasurement(double accuracy) {
  v1::Measurement measurement;
  measurement.set_accuracy(accuracy);
  measurement.set_latency_us(10);
  *measurement.mutable_profile() = TestProfile();
  measurement.set_evaluator_version("1");
  return measurement;
}

Completion Measured(int64_t fence, double accuracy) {
  Completion completion;
  completion.fence = fence;
  completion.state = v1::TRIAL_MEASURED;
  completion.outcome.set_kind(v1::MEASURED);
  *completion.outcome.mutable_measurement() = TestMeasurement(accuracy);
  return completion;
}

Completion Ended(int64_t fence, v1::TrialState state, v1::OutcomeKind kind,
                 const std::string& reason) {
  Completion completion;
  completion.fence = fence;
  completion.state = state;
  completion.outcome.set_kind(kind);
  completion.outcome.set_reason(reason);
  return completion;
}

std::string StoreTest::MakeJob(int trials, const v1::JobSpec& spec) {
  std::string job =
      store_->CreateJob(spec, /*request_id=*/"", now_).value().name();
  std::vector<v1::Proposal> proposals;
  for (int i = 0; i < trials; ++i) proposals.push_back(TestProposal(i));
  EXPECT_TRUE(store_->AddTrials(job, proposals, now_).ok());
  return job;
}

GrantedLease StoreTest::Lease(const std::string& session) {
  auto leases =
      store_->GrantLeases(session, TestProfile(), /*count=*/1, now_).value();
  EXPECT_EQ(leases.size(), 1u);
  return leases.empty() ? GrantedLease() : leases[0];
}

v1::Trial StoreTest::MeasureNext(double accuracy) {
  return store_->CompleteAttempt(Measured(Lease().fence, accuracy), now_)
      .value()
      .trial;
}

std::string CountsText(const v1::TrialCounts& counts) {
  return absl::StrCat(counts.pending(), " ", counts.leased(), " ",
                      counts.measured(), " ", counts.infeasible(), " ",
                      counts.failed(), " ", counts.quarantined());
}

}  // namespace lathe

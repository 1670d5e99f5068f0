// What is refused, and how.
#include <gmock/gmock.h>
#include <grpcpp/generic/generic_stub.h>
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/digest.h"
#include "proto/error.pb.h"
#include "server/testing/server_fixture.h"

namespace lathe::testing {
namespace {

using BadRequests = ServerTest;
using ::testing::HasSubstr;

// Some 10 bytes for each layer.
void AddPlanOf(v1::JobSpec& spec, int layers) {
  v1::CompressionPlan* const plan = spec.add_first_plans();
  for (int i = 0; i < layers; ++i) plan->add_layers()->set_keep_ratio(0.5);
}

struct SpecCase {
  const char* field;
  std::function<void(v1::JobSpec&)> spoil;
};

std::vector<SpecCase> SpecCases() {
  return {
      {"spec.trials", [](auto& s) { s.set_trials(0); }},
      {"spec.trials", [](auto& s) { s.set_trials(-1); }},
      {"spec.trials", [](auto& s) { s.set_trials(1'000'001); }},
      {"spec.agent", [](auto& s) { s.set_agent("nobody"); }},
      {"spec.agent", [](auto& s) { s.clear_agent(); }},
      {"spec.threads", [](auto& s) { s.set_threads(257); }},
      {"spec.threads", [](auto& s) { s.set_threads(-1); }},
      {"spec.batch", [](auto& s) { s.set_batch(4097); }},
      {"spec.model_digest", [](auto& s) { s.set_model_digest("abc"); }},
      {"spec.model_digest", [](auto& s) { s.clear_model_digest(); }},
      {"spec.dataset.digest", [](auto& s) { s.clear_dataset(); }},
      {"spec.dataset.report_digest",
       [](auto& s) { s.mutable_dataset()->set_report_digest("../../etc"); }},
      {"spec.dataset.scale",
       [](auto& s) { s.mutable_dataset()->set_scale(std::nan("")); }},
      {"spec.dataset.std", [](auto& s) { s.mutable_dataset()->add_std(0); }},
      {"spec.dataset.mean",
       [](auto& s) { s.mutable_dataset()->add_mean(INFINITY); }},
      {"spec.dataset.layout",
       [](auto& s) { s.mutable_dataset()->set_layout("chwn"); }},
      {"spec.dataset.search_samples",
       [](auto& s) { s.mutable_dataset()->set_search_samples(-1); }},
      {"spec.budget.max_latency_us",
       [](auto& s) { s.mutable_budget()->set_max_latency_us(0); }},
      {"spec.budget.max_latency_ratio",
       [](auto& s) { s.mutable_budget()->set_max_latency_ratio(-0.5); }},
      {"spec.budget.max_size_bytes",
       [](auto& s) { s.mutable_budget()->set_max_size_bytes(0); }},
      {"spec.budget.max_size_ratio",
       [](auto& s) { s.mutable_budget()->set_max_size_ratio(std::nan("")); }},
      {"spec.budget.max_accuracy_drop",
       [](auto& s) { s.mutable_budget()->set_max_accuracy_drop(1.5); }},
      {"spec.objectives", [](auto& s) { s.add_objectives("beauty"); }},
      {"spec.objectives",
       [](auto& s) {
         s.add_objectives("size");
         s.add_objectives("size");
       }},
      {"spec.first_plans",
       [](auto& s) {
         for (int i = 0; i < 5; ++i) s.add_first_plans();
       }},
      {"spec.display_name",
       [](auto& s) { s.set_display_name(std::string(201, 'x')); }},
      {"spec.target_profile",
       [](auto& s) { s.mutable_target_profile()->set_threads(1); }},
      {"spec.target_profile",
       [](auto& s) {
         s.mutable_target_profile()->set_cpu(std::string(5000, 'x'));
         s.mutable_target_profile()->set_isa("avx2");
       }},
      {"spec", [](auto& s) { AddPlanOf(s, /*layers=*/300'000); }},
  };
}

TEST_F(BadRequests, EveryFieldOfASpecOutOfRangeIsNamed) {
  StartServer();
  for (const SpecCase& test : SpecCases()) {
    v1::JobSpec spec = Spec(/*trials=*/5);
    test.spoil(spec);
    v1::Job job;
    const grpc::Status status = TryCreateJob(spec, "request", &job);
    const CallError error = ErrorOf(status);
    EXPECT_EQ(error.code, grpc::StatusCode::INVALID_ARGUMENT) << test.field;
    EXPECT_EQ(error.reason, "FIELD_INVALID") << test.field;
    EXPECT_THAT(error.message, HasSubstr(absl::StrCat(test.field, ": ")));
  }
}

TEST_F(BadRequests, AllViolationsAreListedAsBadRequest) {
  StartServer();
  v1::JobSpec spec = Spec(/*trials=*/0);
  spec.set_threads(1000);
  v1::Job job;
  const grpc::Status status = TryCreateJob(spec, "request", &job);
  google::rpc::Status details;
  ASSERT_TRUE(details.ParseFromString(status.error_details()));
  google::rpc::BadRequest bad;
  for (const auto& detail : details.details()) detail.UnpackTo(&bad);
  ASSERT_EQ(bad.field_violations_size(), 2);
  EXPECT_EQ(bad.field_violations(0).field(), "spec.trials");
  EXPECT_EQ(bad.field_violations(1).field(), "spec.threads");
}

TEST_F(BadRequests, AJobNeedsItsBlobs) {
  StartServer();
  v1::JobSpec spec = Spec(/*trials=*/5);
  spec.set_model_digest(std::string(64, '0'));
  v1::Job job;
  const CallError error = ErrorOf(TryCreateJob(spec, "request", &job));
  EXPECT_EQ(error.code, grpc::StatusCode::FAILED_PRECONDITION);
  EXPECT_EQ(error.reason, "BLOB_MISSING");
  EXPECT_THAT(error.message, HasSubstr("spec.model_digest"));
}

TEST_F(BadRequests, ARequestIdIsNeededAndShort) {
  StartServer();
  v1::Job job;
  for (const std::string& id : {std::string(), std::string(65, 'x')}) {
    const CallError error = ErrorOf(TryCreateJob(Spec(5), id, &job));
    EXPECT_EQ(error.code, grpc::StatusCode::INVALID_ARGUMENT);
    EXPECT_THAT(error.message, HasSubstr("request_id"));
  }
}

TEST_F(BadRequests, UnknownNamesAreNotFoundWhateverTheirForm) {
  StartServer();
  for (const std::string& name :
       {std::string("jobs/99"), std::string(), std::string("jobs/"),
        std::string("jobs/../1"), std::string("workers/1"),
        std::string("jobs/1/trials/0"), std::string(100'000, 'x')}) {
    SCOPED_TRACE(name.substr(0, 80));
    v1::GetJobRequest request;
    request.set_name(name);
    v1::Job job;
    google::protobuf::Empty empty;
    for (const grpc::Status& status :
         {search_->GetJob(NewContext().get(), request, &job),
          search_->PauseJob(NewContext().get(), request, &job),
          search_->ResumeJob(NewContext().get(), request, &job),
          search_->CancelJob(NewContext().get(), request, &job),
          search_->DeleteJob(NewContext().get(), request, &empty)}) {
      EXPECT_EQ(ErrorOf(status).code, grpc::StatusCode::NOT_FOUND);
      EXPECT_EQ(ErrorOf(status).reason, "JOB_NOT_FOUND");
    }
    grpc::Status watched;
    EXPECT_TRUE(Watch(name, 0, &watched).empty());
    EXPECT_EQ(ErrorOf(watched).reason, "JOB_NOT_FOUND");
    v1::GetTrialRequest trial_request;
    trial_request.set_name(name);
    v1::Trial trial;
    EXPECT_EQ(
        ErrorOf(search_->GetTrial(NewContext().get(), trial_request, &trial))
            .reason,
        "TRIAL_NOT_FOUND");
  }
}

TEST_F(BadRequests, PagesOutOfRangeAndForeignTokensAreRefused) {
  StartServer();
  v1::ListJobsResponse jobs;
  for (const int size : {-1, 1001}) {
    v1::ListJobsRequest request;
    request.set_page_size(size);
    EXPECT_EQ(
        ErrorOf(search_->ListJobs(NewContext().get(), request, &jobs)).reason,
        "FIELD_INVALID");
  }
  v1::ListJobsRequest request;
  request.set_page_token("a token of my own");
  EXPECT_EQ(
      ErrorOf(search_->ListJobs(NewContext().get(), request, &jobs)).reason,
      "PAGE_TOKEN_INVALID");
}

TEST_F(BadRequests, APageOfJobsIsShorterWhereTheyAreLarge) {
  StartServer();
  v1::JobSpec spec = Spec(/*trials=*/5);
  AddPlanOf(spec, /*layers=*/120'000);
  std::vector<std::string> made;
  for (int i = 0; i < 5; ++i) made.insert(made.begin(), CreateJob(spec));
  std::vector<std::string> listed;
  v1::ListJobsRequest request;
  do {
    v1::ListJobsResponse page;
    ASSERT_TRUE(search_->ListJobs(NewContext().get(), request, &page).ok());
    EXPECT_LE(page.ByteSizeLong(), size_t{4} << 20);
    for (const v1::Job& job : page.jobs()) listed.push_back(job.name());
    request.set_page_token(page.next_page_token());
  } while (!request.page_token().empty());
  EXPECT_EQ(listed, made);
}

TEST_F(BadRequests, AWorkerThatTellsTooMuchOfItselfIsNotListed) {
  StartServer();
  const auto workers = v1::Workers::NewStub(channel_);
  v1::RegisterWorkerRequest good;
  good.set_session("session-of-a-worker");
  good.mutable_capabilities()->mutable_profile()->set_cpu("cpu");
  good.mutable_capabilities()->mutable_profile()->set_isa("isa");
  const std::vector<std::function<void(v1::RegisterWorkerRequest&)>> spoils = {
      [](auto& r) {
        r.mutable_capabilities()->set_host(std::string(5000, 'x'));
      },
      [](auto& r) {
        r.mutable_capabilities()->mutable_profile()->set_cpu(
            std::string(20 << 20, 'x'));
      },
      [](auto& r) {
        for (int i = 0; i < 10'001; ++i) r.add_fences(i);
      }};
  v1::RegisterWorkerResponse response;
  for (const auto& spoil : spoils) {
    v1::RegisterWorkerRequest request = good;
    spoil(request);
    EXPECT_EQ(
        ErrorOf(workers->RegisterWorker(NewContext().get(), request, &response))
            .reason,
        "FIELD_INVALID");
  }
  ASSERT_TRUE(
      workers->RegisterWorker(NewContext().get(), good, &response).ok());
  v1::ListWorkersResponse list;
  ASSERT_TRUE(admin_->ListWorkers(NewContext().get(), {}, &list).ok());
  EXPECT_EQ(list.workers_size(), 1);
}

TEST_F(BadRequests, AnEventThatIsNotThereCannotBeResumedAfter) {
  StartServer();
  const std::string job = CreateJob(Spec(/*trials=*/1));
  ScriptedWorker worker = NewWorker();
  RunToEnd(worker, job);
  const std::vector<v1::Event> events = Watch(job, 0);
  const int64_t last = events.back().sequence();
  grpc::Status status;
  EXPECT_TRUE(Watch(job, last, &status).empty());
  EXPECT_TRUE(status.ok()) << status.error_message();
  for (const int64_t sequence : {last + 1, int64_t{-1}}) {
    EXPECT_TRUE(Watch(job, sequence, &status).empty());
    EXPECT_EQ(ErrorOf(status).reason, "FIELD_INVALID") << sequence;
  }
}

TEST_F(BadRequests, BoundsMustBeNumbers) {
  StartServer();
  const std::string job = CreateJob(Spec(/*trials=*/1));
  ScriptedWorker worker = NewWorker();
  RunToEnd(worker, job);
  v1::GetBestConfigurationRequest request;
  request.set_name(job);
  request.set_max_latency_us(std::nan(""));
  v1::BestConfiguration best;
  EXPECT_EQ(
      ErrorOf(search_->GetBestConfiguration(NewContext().get(), request, &best))
          .reason,
      "FIELD_INVALID");
  v1::GetFrontierRequest frontier_request;
  frontier_request.set_name(job);
  frontier_request.add_objectives("speed");
  v1::Frontier frontier;
  EXPECT_EQ(ErrorOf(search_->GetFrontier(NewContext().get(), frontier_request,
                                         &frontier))
                .reason,
            "FIELD_INVALID");
}

TEST_F(BadRequests, ResultsBeforeAnythingWasMeasuredAreRefused) {
  StartServer();
  const std::string job = CreateJob(Spec(/*trials=*/1));
  v1::GetFrontierRequest request;
  request.set_name(job);
  v1::Frontier frontier;
  const CallError error =
      ErrorOf(search_->GetFrontier(NewContext().get(), request, &frontier));
  EXPECT_EQ(error.code, grpc::StatusCode::FAILED_PRECONDITION);
  EXPECT_EQ(error.reason, "NOTHING_MEASURED");
}

TEST_F(BadRequests, LeaseRequestsOutOfRangeAreRefused) {
  StartServer();
  ScriptedWorker worker = NewWorker();
  v1::LeaseTrialsRequest good;
  good.set_session(worker.session());
  good.set_slots(1);
  const std::vector<std::function<void(v1::LeaseTrialsRequest&)>> spoils = {
      [](auto& r) { r.set_slots(0); },
      [](auto& r) { r.set_slots(65); },
      [](auto& r) { r.set_wait_seconds(-1); },
      [](auto& r) { r.set_wait_seconds(1e9); },
      [](auto& r) { r.set_wait_seconds(std::nan("")); },
      [](auto& r) { r.set_session("short"); }};
  for (const auto& spoil : spoils) {
    v1::LeaseTrialsRequest request = good;
    spoil(request);
    v1::LeaseTrialsResponse response;
    EXPECT_EQ(ErrorOf(worker.TryLease(request, &response)).reason,
              "FIELD_INVALID")
        << request.ShortDebugString();
  }
}

TEST_F(BadRequests, AMessageAboveTheLimitIsRefusedAndTheServerLives) {
  StartServer();
  v1::GetJobRequest request;
  request.set_name(std::string(65 << 20, 'x'));
  v1::Job job;
  EXPECT_EQ(search_->GetJob(NewContext().get(), request, &job).error_code(),
            grpc::StatusCode::RESOURCE_EXHAUSTED);
  v1::ListJobsResponse jobs;
  EXPECT_TRUE(search_->ListJobs(NewContext().get(), {}, &jobs).ok());
}

TEST_F(BadRequests, BytesThatAreNoMessageAreRefusedAndTheServerLives) {
  StartServer();
  grpc::GenericStub stub(channel_);
  for (const char* method :
       {"/lathe.v1.Search/CreateJob", "/lathe.v1.Workers/CompleteTrial",
        "/lathe.v1.Artifacts/FindMissing", "/lathe.v1.Search/NoSuchMethod"}) {
    const grpc::Slice slice("\xff\xff\xff\xff\xff garbage");
    const grpc::ByteBuffer request(&slice, 1);
    grpc::ByteBuffer response;
    grpc::CompletionQueue queue;
    const auto context = NewContext();
    const auto call =
        stub.PrepareUnaryCall(context.get(), method, request, &queue);
    call->StartCall();
    grpc::Status status;
    call->Finish(&response, &status, nullptr);
    void* tag = nullptr;
    bool is_ok = false;
    ASSERT_TRUE(queue.Next(&tag, &is_ok));
    EXPECT_FALSE(status.ok()) << method;
  }
  v1::ListJobsResponse jobs;
  EXPECT_TRUE(search_->ListJobs(NewContext().get(), {}, &jobs).ok());
}

}  // namespace
}  // namespace lathe::testing

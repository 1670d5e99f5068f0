#include "server/testing/server_fixture.h"

#include <grpcpp/create_channel.h>

#include <chrono>
#include <filesystem>
#include <thread>
#include <utility>

#include "absl/base/config.h"
#include "absl/strings/str_cat.h"
#include "base/digest.h"
#include "base/log.h"
#include "proto/error.pb.h"
#include "proto/names.h"
#include "server/testing/simulated_network.h"

namespace lathe::testing {
namespace {

// Far above any answer, far below the tests' time limit.
constexpr std::chrono::seconds kDeadline(30);
// How many times longer everything may take.
#if defined(ABSL_HAVE_ADDRESS_SANITIZER) || defined(ABSL_HAVE_THREAD_SANITIZER)
constexpr int kSlowness = 6;
#else
constexpr int kSlowness = 1;
#endif

std::string NewFolder() {
  std::string pattern =
      (std::filesystem::temp_directory_path() / "lathe-server-XXXXXX").string();
  return mkdtemp(pattern.data());
}

}  // namespace

CallError ErrorOf(const grpc::Status& status) {
  CallError error;
  error.code = status.error_code();
  error.message = status.error_message();
  google::rpc::Status details;
  EXPECT_TRUE(details.ParseFromString(status.error_details()));
  for (const auto& detail : details.details()) {
    google::rpc::ErrorInfo info;
    if (!detail.UnpackTo(&info)) continue;
    EXPECT_EQ(info.domain(), "lathe");
    error.reason = info.reason();
  }
  return error;
}

std::unique_ptr<grpc::ClientContext> NewContext() {
  auto context = std::make_unique<grpc::ClientContext>();
  context->set_deadline(std::chrono::system_clock::now() + kDeadline);
  return context;
}

bool Eventually(const std::function<bool()>& is_true) {
  const auto deadline =
      std::chrono::steady_clock::now() + kSlowness * kDeadline;
  while (!is_true()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return true;
}

// ---------------------------------------------------------------- the worker

ScriptedWorker::ScriptedWorker(const std::shared_ptr<grpc::Channel>& channel,
                               std::string session,
                               const std::vector<int64_t>& fences)
    : stub_(v1::Workers::NewStub(channel)), session_(std::move(session)) {
  EXPECT_TRUE(Register(fences).ok());
}

grpc::Status ScriptedWorker::Register(const std::vector<int64_t>& fences) {
  v1::RegisterWorkerRequest request;
  request.set_session(session_);
  *request.mutable_capabilities()->mutable_profile() = SimulatedProfile();
  request.mutable_capabilities()->set_cores(1);
  request.mutable_capabilities()->set_host("test");
  request.mutable_fences()->Add(fences.begin(), fences.end());
  v1::RegisterWorkerResponse response;
  grpc::Status status =
      stub_->RegisterWorker(NewContext().get(), request, &response);
  name_ = response.name();
  return status;
}

std::vector<v1::Lease> ScriptedWorker::Lease(int slots, absl::Duration wait) {
  v1::LeaseTrialsRequest request;
  request.set_session(session_);
  request.set_slots(slots);
  request.set_wait_seconds(absl::ToDoubleSeconds(wait));
  v1::LeaseTrialsResponse response;
  for (int i = 0; i < kSlowness && response.leases().empty(); ++i) {
    const grpc::Status status = TryLease(request, &response);
    EXPECT_TRUE(status.ok()) << status.error_message();
  }
  return {response.leases().begin(), response.leases().end()};
}

grpc::Status ScriptedWorker::TryLease(const v1::LeaseTrialsRequest& request,
                                      v1::LeaseTrialsResponse* response) {
  return stub_->LeaseTrials(NewContext().get(), request, response);
}

grpc::Status ScriptedWorker::Complete(const v1::Lease& lease,
                                      v1::CompleteTrialResponse* response) {
  return Complete(lease.fence(), SimulatedOutcome(lease), response);
}

grpc::Status ScriptedWorker::Complete(int64_t fence, const v1::Outcome& outcome,
                                      v1::CompleteTrialResponse* response) {
  v1::CompleteTrialRequest request;
  request.set_fence(fence);
  *request.mutable_outcome() = outcome;
  v1::CompleteTrialResponse ignored;
  return Send(std::move(request), response != nullptr ? response : &ignored);
}

grpc::Status ScriptedWorker::Offer(const v1::Lease& lease,
                                   v1::CompleteTrialResponse* answer) {
  v1::CompleteTrialRequest request;
  request.set_fence(lease.fence());
  *request.mutable_outcome() = SimulatedOutcome(lease);
  request.set_offers_artifact(true);
  return Send(std::move(request), answer);
}

grpc::Status ScriptedWorker::CompleteWithArtifact(const v1::Lease& lease,
                                                  const std::string& digest) {
  v1::CompleteTrialRequest request;
  request.set_fence(lease.fence());
  *request.mutable_outcome() = SimulatedOutcome(lease);
  request.set_artifact_digest(digest);
  v1::CompleteTrialResponse response;
  return Send(std::move(request), &response);
}

grpc::Status ScriptedWorker::Send(v1::CompleteTrialRequest request,
                                  v1::CompleteTrialResponse* response) {
  request.set_session(session_);
  return stub_->CompleteTrial(NewContext().get(), request, response);
}

grpc::Status ScriptedWorker::Fail(const v1::Lease& lease, v1::OutcomeKind kind,
                                  const std::string& reason) {
  v1::Outcome outcome;
  outcome.set_kind(kind);
  outcome.set_reason(reason);
  return Complete(lease.fence(), outcome);
}

v1::RenewLeasesResponse ScriptedWorker::Renew(
    const std::vector<int64_t>& fences) {
  v1::RenewLeasesRequest request;
  request.set_session(session_);
  request.mutable_fences()->Add(fences.begin(), fences.end());
  v1::RenewLeasesResponse response;
  EXPECT_TRUE(stub_->RenewLeases(NewContext().get(), request, &response).ok());
  return response;
}

grpc::Status ScriptedWorker::Release(const std::vector<int64_t>& fences) {
  v1::ReleaseLeasesRequest request;
  request.set_session(session_);
  request.set_reason(v1::ReleaseLeasesRequest::PREEMPTED);
  request.mutable_fences()->Add(fences.begin(), fences.end());
  google::protobuf::Empty response;
  return stub_->ReleaseLeases(NewContext().get(), request, &response);
}

// --------------------------------------------------------------- the fixture

ServerTest::ServerTest() : folder_(NewFolder()) {
  SetLogLevel(LogLevel::kError);
}

ServerTest::~ServerTest() {
  StopServer();
  std::filesystem::remove_all(folder_);
}

void ServerTest::StartServer(absl::Duration ttl) {
  ServerOptions options;
  options.state_folder = folder_;
  options.lease_times.ttl = ttl;
  options.lease_times.sweep_interval = absl::Milliseconds(10);
  options.lease_times.retry.first_rest = absl::Milliseconds(10);
  options.lease_times.retry.others_first = absl::Milliseconds(50);
  ServeWith(options);
}

void ServerTest::ServeWith(const ServerOptions& options) {
  absl::StatusOr<std::unique_ptr<Server>> server = Server::Start(options);
  ASSERT_TRUE(server.ok()) << server.status();
  server_ = *std::move(server);
  channel_ = grpc::CreateChannel(server_->address(),
                                 grpc::InsecureChannelCredentials());
  search_ = v1::Search::NewStub(channel_);
  artifacts_ = v1::Artifacts::NewStub(channel_);
  admin_ = v1::Admin::NewStub(channel_);
}

void ServerTest::StopServer() {
  search_.reset();
  artifacts_.reset();
  admin_.reset();
  channel_.reset();
  server_.reset();
}

v1::JobSpec ServerTest::Spec(int64_t trials, const std::string& agent) {
  v1::JobSpec spec;
  spec.set_model_digest(Upload("a model"));
  spec.mutable_dataset()->set_digest(Upload("some data"));
  spec.set_agent(agent);
  spec.set_trials(trials);
  spec.set_seed(7);
  return spec;
}

grpc::Status ServerTest::TryUpload(const std::string& bytes) {
  v1::WriteResponse response;
  const auto context = NewContext();
  const auto writer = artifacts_->Write(context.get(), &response);
  v1::WriteRequest request;
  request.set_digest(Sha256Hex(bytes));
  request.set_data(bytes);
  writer->Write(request);
  writer->WritesDone();
  return writer->Finish();
}

std::string ServerTest::Upload(const std::string& bytes) {
  const grpc::Status status = TryUpload(bytes);
  EXPECT_TRUE(status.ok()) << status.error_message();
  return Sha256Hex(bytes);
}

grpc::Status ServerTest::TryCreateJob(const v1::JobSpec& spec,
                                      const std::string& request_id,
                                      v1::Job* job) {
  v1::CreateJobRequest request;
  *request.mutable_spec() = spec;
  request.set_request_id(request_id);
  return search_->CreateJob(NewContext().get(), request, job);
}

std::string ServerTest::CreateJob(const v1::JobSpec& spec) {
  v1::Job job;
  const grpc::Status status =
      TryCreateJob(spec, absl::StrCat("request-", next_request_++), &job);
  EXPECT_TRUE(status.ok()) << status.error_message();
  return job.name();
}

v1::Job ServerTest::GetJob(const std::string& name) {
  v1::GetJobRequest request;
  request.set_name(name);
  v1::Job job;
  const grpc::Status status =
      search_->GetJob(NewContext().get(), request, &job);
  EXPECT_TRUE(status.ok()) << status.error_message();
  return job;
}

std::vector<v1::Trial> ServerTest::Trials(const std::string& job) {
  v1::ListTrialsRequest request;
  request.set_parent(job);
  request.set_page_size(1000);
  v1::ListTrialsResponse response;
  const grpc::Status status =
      search_->ListTrials(NewContext().get(), request, &response);
  EXPECT_TRUE(status.ok()) << status.error_message();
  return {response.trials().begin(), response.trials().end()};
}

v1::Trial ServerTest::GetTrial(const std::string& job, int64_t number) {
  v1::GetTrialRequest request;
  request.set_name(absl::StrCat(job, "/trials/", number));
  v1::Trial trial;
  const grpc::Status status =
      search_->GetTrial(NewContext().get(), request, &trial);
  EXPECT_TRUE(status.ok()) << status.error_message();
  return trial;
}

std::vector<v1::Event> ServerTest::Watch(const std::string& job,
                                         int64_t sequence,
                                         grpc::Status* status) {
  v1::WatchJobRequest request;
  request.set_name(job);
  request.set_resume_sequence(sequence);
  const auto context = NewContext();
  const auto reader = search_->WatchJob(context.get(), request);
  std::vector<v1::Event> events;
  v1::Event event;
  while (reader->Read(&event)) events.push_back(event);
  const grpc::Status end = reader->Finish();
  if (status != nullptr) {
    *status = end;
  } else {
    EXPECT_TRUE(end.ok()) << end.error_message();
  }
  return events;
}

ScriptedWorker ServerTest::NewWorker(const std::string& session,
                                     const std::vector<int64_t>& fences) {
  return ScriptedWorker(channel_, session, fences);
}

v1::Job ServerTest::RunToEnd(ScriptedWorker& worker, const std::string& job) {
  const bool has_ended = Eventually([&] {
    for (const v1::Lease& lease :
         worker.Lease(/*slots=*/1, absl::Milliseconds(20))) {
      EXPECT_TRUE(worker.Complete(lease).ok());
    }
    return IsFinal(GetJob(job).state());
  });
  EXPECT_TRUE(has_ended);
  return GetJob(job);
}

void ServerTest::RunTrials(ScriptedWorker& worker, int count) {
  for (int i = 0; i < count; ++i) {
    const std::vector<v1::Lease> leases = worker.Lease();
    ASSERT_EQ(leases.size(), 1u);
    ASSERT_TRUE(worker.Complete(leases[0]).ok());
  }
}

}  // namespace lathe::testing

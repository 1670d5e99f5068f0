// What a worker may do: what its leases name, and nothing else. And nobody
// longer than their token says.
#include <gtest/gtest.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "base/digest.h"
#include "base/file.h"
#include "server/testing/security_fixture.h"
#include "server/testing/simulated_network.h"

namespace lathe::testing {
namespace {

class WorkerRights : public Security {
 protected:
  static constexpr char kSession[] = "session-0123456789";

  void SetUp() override {
    Start(/*has_tokens=*/true, /*has_client_ca=*/false);
    channel_ = Connect();
    search_ = v1::Search::NewStub(channel_);
    artifacts_ = v1::Artifacts::NewStub(channel_);
    workers_ = v1::Workers::NewStub(channel_);
    model_ = Write(Client{"", "user"}, "a model", {});
    secret_ = Write(Client{"", "user"}, "another's model", {});
    v1::CreateJobRequest request;
    request.mutable_spec()->set_model_digest(model_);
    request.mutable_spec()->mutable_dataset()->set_digest(model_);
    request.mutable_spec()->set_agent("random");
    request.mutable_spec()->set_trials(3);
    request.set_request_id("r");
    v1::Job job;
    ASSERT_TRUE(
        search_->CreateJob(ContextOf("user").get(), request, &job).ok());
    lease_ = LeaseOne();
  }

  v1::Lease LeaseOne() {
    v1::RegisterWorkerRequest request;
    request.set_session(kSession);
    *request.mutable_capabilities()->mutable_profile() = SimulatedProfile();
    v1::RegisterWorkerResponse registered;
    EXPECT_TRUE(
        workers_
            ->RegisterWorker(ContextOf("worker").get(), request, &registered)
            .ok());
    v1::LeaseTrialsRequest wish;
    wish.set_session(kSession);
    wish.set_slots(1);
    wish.set_wait_seconds(20);
    v1::LeaseTrialsResponse granted;
    EXPECT_TRUE(
        workers_->LeaseTrials(ContextOf("worker").get(), wish, &granted).ok());
    return granted.leases_size() == 1 ? granted.leases(0) : v1::Lease();
  }

  std::unique_ptr<grpc::ClientContext> ForLease(const std::string& token,
                                                int64_t fence) {
    auto context = ContextOf(token);
    if (fence != 0) {
      context->AddMetadata("lathe-session", kSession);
      context->AddMetadata("lathe-fence", absl::StrCat(fence));
    }
    return context;
  }

  std::string ReadReason(const std::string& token, int64_t fence,
                         const std::string& digest) {
    v1::ReadRequest request;
    request.set_digest(digest);
    const auto context = ForLease(token, fence);
    const auto reader = artifacts_->Read(context.get(), request);
    v1::ReadResponse response;
    while (reader->Read(&response)) {
    }
    return ErrorOf(reader->Finish()).reason;
  }

  // Its digest when it was taken, else the reason.
  std::string Write(const Client& client, const std::string& bytes,
                    int64_t fence) {
    v1::WriteRequest request;
    request.set_digest(Sha256Hex(bytes));
    request.set_data(bytes);
    v1::WriteResponse response;
    const auto context = ForLease(client.token, fence);
    const auto writer = artifacts_->Write(context.get(), &response);
    writer->Write(request);
    writer->WritesDone();
    const grpc::Status status = writer->Finish();
    return status.ok() ? request.digest() : ErrorOf(status).reason;
  }

  std::unique_ptr<v1::Workers::Stub> workers_;
  std::string model_, secret_;
  v1::Lease lease_;
};

TEST_F(WorkerRights, ReadsOnlyWhatItsLeaseNames) {
  const int64_t fence = lease_.fence();
  EXPECT_EQ(ReadReason("worker", fence, model_), "");
  EXPECT_EQ(ReadReason("worker", fence, secret_), "NOT_LEASED");
  EXPECT_EQ(ReadReason("worker", 0, model_), "NOT_LEASED");
  EXPECT_EQ(ReadReason("worker", fence + 1, model_), "NOT_LEASED");
  EXPECT_EQ(ReadReason("worker2", fence, model_), "SESSION_NOT_YOURS");
  EXPECT_EQ(ReadReason("viewer", 0, secret_), "");
}

TEST_F(WorkerRights, WritesOnlyForItsLease) {
  const int64_t fence = lease_.fence();
  const Client worker{"", "worker"};
  EXPECT_EQ(Write(worker, "stats", fence), Sha256Hex("stats"));
  EXPECT_EQ(Write(worker, "x", 0), "NOT_LEASED");
  EXPECT_EQ(Write({"", "worker2"}, "x", fence), "SESSION_NOT_YOURS");
  EXPECT_EQ(Write({"", "viewer"}, "x", 0), "ROLE_DENIED");
  // Given back, the lease gives no right any more.
  v1::ReleaseLeasesRequest release;
  release.set_session(kSession);
  release.add_fences(fence);
  google::protobuf::Empty empty;
  ASSERT_TRUE(
      workers_->ReleaseLeases(ContextOf("worker").get(), release, &empty).ok());
  EXPECT_EQ(Write(worker, "y", fence), "NOT_LEASED");
  EXPECT_EQ(ReadReason("worker", fence, model_), "NOT_LEASED");
}

TEST_F(WorkerRights, NobodyElseSpeaksForItsSession) {
  v1::CompleteTrialRequest complete;
  complete.set_session(kSession);
  complete.set_fence(lease_.fence());
  *complete.mutable_outcome() = SimulatedOutcome(lease_);
  v1::CompleteTrialResponse done;
  EXPECT_EQ(ErrorOf(workers_->CompleteTrial(ContextOf("worker2").get(),
                                            complete, &done))
                .reason,
            "SESSION_NOT_YOURS");
  EXPECT_EQ(Renew({"", "worker2"}, kSession).reason, "SESSION_NOT_YOURS");
  v1::RegisterWorkerRequest again;
  again.set_session(kSession);
  *again.mutable_capabilities()->mutable_profile() = SimulatedProfile();
  v1::RegisterWorkerResponse registered;
  EXPECT_EQ(ErrorOf(workers_->RegisterWorker(ContextOf("worker2").get(), again,
                                             &registered))
                .reason,
            "SESSION_NOT_YOURS");
  EXPECT_TRUE(
      workers_->CompleteTrial(ContextOf("worker").get(), complete, &done).ok());
}

// Fences are numbers in a row, which anybody can guess.
TEST_F(WorkerRights, NobodySpeaksWithoutASession) {
  v1::CompleteTrialRequest complete;
  complete.set_fence(lease_.fence());
  *complete.mutable_outcome() = SimulatedOutcome(lease_);
  v1::CompleteTrialResponse done;
  EXPECT_EQ(ErrorOf(workers_->CompleteTrial(ContextOf("worker2").get(),
                                            complete, &done))
                .reason,
            "FIELD_INVALID");
  v1::ReleaseLeasesRequest release;
  release.add_fences(lease_.fence());
  google::protobuf::Empty empty;
  EXPECT_EQ(ErrorOf(workers_->ReleaseLeases(ContextOf("worker2").get(), release,
                                            &empty))
                .reason,
            "FIELD_INVALID");
  EXPECT_EQ(Renew({"", "worker2"}, "").reason, "FIELD_INVALID");
  complete.set_session(kSession);
  EXPECT_TRUE(
      workers_->CompleteTrial(ContextOf("worker").get(), complete, &done).ok());
}

// Not even by saying nothing.
TEST_F(WorkerRights, StrangersTakeNoPlacesOfStreams) {
  StopServer();
  ServerOptions options = Options(/*has_tokens=*/true, /*has_client_ca=*/false);
  options.most_streams = 2;
  server_ = Server::Start(options).value();
  artifacts_ = v1::Artifacts::NewStub(Connect());
  std::vector<std::unique_ptr<grpc::ClientContext>> contexts;
  std::vector<std::unique_ptr<grpc::ClientWriter<v1::WriteRequest>>> writers;
  v1::WriteResponse response;
  for (int i = 0; i < 3; ++i) {
    contexts.push_back(ContextOf(""));
    writers.push_back(artifacts_->Write(contexts.back().get(), &response));
    EXPECT_EQ(ErrorOf(writers.back()->Finish()).reason, "CREDENTIALS_MISSING");
  }
  EXPECT_EQ(Write({"", "user"}, "bytes", 0), Sha256Hex("bytes"));
}

TEST_F(WorkerRights, AWatchEndsWithItsToken) {
  v1::WatchJobRequest request;
  request.set_name("jobs/1");
  const auto context = ContextOf("viewer");
  const auto watch = search_->WatchJob(context.get(), request);
  v1::Event event;
  ASSERT_TRUE(watch->Read(&event));
  const std::string tokens = ReadFile(files_ + "/tokens").value();
  std::string kept;
  for (const absl::string_view line : absl::StrSplit(tokens, '\n')) {
    if (!absl::StartsWith(line, "viewer ")) absl::StrAppend(&kept, line, "\n");
  }
  ASSERT_NE(kept.size(), tokens.size() + 1);
  ASSERT_TRUE(WriteFileAtomically(files_ + "/tokens", kept).ok());
  v1::GetJobRequest job;
  job.set_name("jobs/1");
  v1::Job answer;
  // The server sees the file within a second; each of these is an event.
  for (int i = 0; i < 20; ++i) {
    absl::SleepFor(absl::Milliseconds(150));
    const auto user = ContextOf("user");
    ASSERT_TRUE((i % 2 == 0 ? search_->PauseJob(user.get(), job, &answer)
                            : search_->ResumeJob(user.get(), job, &answer))
                    .ok());
  }
  int seen = 0;
  while (watch->Read(&event)) ++seen;
  EXPECT_LT(seen, 20);
  EXPECT_EQ(ErrorOf(watch->Finish()).reason, "TOKEN_UNKNOWN");
}

}  // namespace
}  // namespace lathe::testing

// What one caller may take up, through the API.
#include "server/quotas.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "base/digest.h"
#include "server/testing/security_fixture.h"

namespace lathe::testing {
namespace {

using ::testing::HasSubstr;

class QuotasOfAll : public ServerTest {
 protected:
  void ServeWithin(const Quotas& quotas) {
    ServerOptions options;
    options.state_folder = folder_;
    options.quotas = quotas;
    ServeWith(options);
  }

  CallError Write(const std::string& bytes) {
    return ErrorOf(TryUpload(bytes));
  }

  std::vector<std::string> Causes(const std::string& job) {
    v1::GetJobRequest request;
    request.set_name(job);
    v1::JobExplanation explanation;
    EXPECT_TRUE(
        search_->ExplainJob(NewContext().get(), request, &explanation).ok());
    std::vector<std::string> causes;
    for (const auto& cause : explanation.causes()) {
      causes.push_back(cause.code() + ": " + cause.text());
    }
    return causes;
  }
};

TEST_F(QuotasOfAll, AJobBeyondTheMostIsRefusedUntilOneHasEnded) {
  Quotas quotas;
  quotas.most_active_jobs = 2;
  ServeWithin(quotas);
  const std::string first = CreateJob(Spec(/*trials=*/5));
  CreateJob(Spec(/*trials=*/5));
  v1::Job job;
  const CallError error =
      ErrorOf(TryCreateJob(Spec(/*trials=*/5), "a third", &job));
  EXPECT_EQ(error.code, grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_EQ(error.reason, "QUOTA_JOBS");
  EXPECT_THAT(error.message, HasSubstr("2 jobs"));
  v1::GetJobRequest request;
  request.set_name(first);
  ASSERT_TRUE(search_->CancelJob(NewContext().get(), request, &job).ok());
  EXPECT_TRUE(TryCreateJob(Spec(/*trials=*/5), "a third", &job).ok());
  // A repeated call makes no new job and is answered as before.
  EXPECT_TRUE(TryCreateJob(Spec(/*trials=*/5), "a third", &job).ok());
}

TEST_F(QuotasOfAll, TrialsBeyondTheMostWaitAndTheExplanationSaysSo) {
  Quotas quotas;
  quotas.most_running_trials = 1;
  ServeWithin(quotas);
  const std::string first = CreateJob(Spec(/*trials=*/5));
  const std::string second = CreateJob(Spec(/*trials=*/5));
  ScriptedWorker worker = NewWorker("session-of-the-first-one");
  ScriptedWorker idle = NewWorker("session-of-the-second-one");
  const std::vector<v1::Lease> leases = worker.Lease(/*slots=*/4);
  ASSERT_EQ(leases.size(), 1u);
  EXPECT_THAT(leases[0].trial(), HasSubstr(first));
  EXPECT_TRUE(idle.Lease(1, absl::Milliseconds(50)).empty());
  EXPECT_TRUE(Eventually([&] {
    const std::vector<std::string> causes = Causes(second);
    return causes[0].find("QUOTA: quota: 1 trials") == 0;
  }));
  ASSERT_TRUE(worker.Complete(leases[0]).ok());
  EXPECT_EQ(idle.Lease().size(), 1u);
}

TEST_F(QuotasOfAll, BlobsBeyondTheMostAreRefusedAndOldOnesCostNothing) {
  Quotas quotas;
  quotas.most_blob_bytes = 1000;
  ServeWithin(quotas);
  EXPECT_EQ(Write(std::string(900, 'a')).code, grpc::StatusCode::OK);
  const CallError error = Write(std::string(200, 'b'));
  EXPECT_EQ(error.code, grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_EQ(error.reason, "QUOTA_BLOBS");
  EXPECT_THAT(error.message, HasSubstr("900 of the 1000 bytes"));
  // What is there already is no upload; what was refused is not charged.
  EXPECT_EQ(Write(std::string(900, 'a')).code, grpc::StatusCode::OK);
  EXPECT_EQ(Write(std::string(100, 'c')).code, grpc::StatusCode::OK);
}

TEST_F(QuotasOfAll, GarbageGivesItsUploaderTheRoomBack) {
  ServerOptions options;
  options.state_folder = folder_;
  options.quotas.most_blob_bytes = 1000;
  options.retention.unused_blobs = absl::ZeroDuration();
  ServeWith(options);
  EXPECT_EQ(Write(std::string(900, 'a')).code, grpc::StatusCode::OK);
  EXPECT_EQ(Write(std::string(900, 'b')).reason, "QUOTA_BLOBS");
  v1::CollectGarbageResponse removed;
  // A blob's age is told in the file system's clock ticks.
  EXPECT_TRUE(Eventually([&] {
    EXPECT_TRUE(admin_->CollectGarbage(NewContext().get(), {}, &removed).ok());
    return Write(std::string(900, 'b')).code == grpc::StatusCode::OK;
  }));
}

class QuotasOfEach : public Security {};

TEST_F(QuotasOfEach, OneCallersJobsDoNotCountForAnother) {
  ServerOptions options = Options(/*has_tokens=*/true, /*has_client_ca=*/true);
  options.quotas.most_active_jobs = 1;
  absl::StatusOr<std::unique_ptr<Server>> server = Server::Start(options);
  ASSERT_TRUE(server.ok()) << server.status();
  server_ = *std::move(server);
  const auto create = [&](const Client& client, const std::string& request_id) {
    const auto channel = Connect(client.certificate);
    v1::WriteResponse written;
    auto context = ContextOf(client.token);
    const auto writer =
        v1::Artifacts::NewStub(channel)->Write(context.get(), &written);
    v1::WriteRequest blob;
    blob.set_digest(Sha256Hex("a model"));
    blob.set_data("a model");
    writer->Write(blob);
    writer->WritesDone();
    EXPECT_TRUE(writer->Finish().ok());
    v1::CreateJobRequest request;
    request.set_request_id(request_id);
    request.mutable_spec()->set_model_digest(blob.digest());
    request.mutable_spec()->mutable_dataset()->set_digest(blob.digest());
    request.mutable_spec()->set_agent("random");
    request.mutable_spec()->set_trials(3);
    v1::Job job;
    const grpc::Status status = v1::Search::NewStub(channel)->CreateJob(
        ContextOf(client.token).get(), request, &job);
    if (status.ok()) {
      EXPECT_EQ(job.creator(), client.token);
    }
    return ErrorOf(status).reason;
  };
  const Client user{"", "user"};
  const Client admin{"admin", "admin"};
  EXPECT_EQ(create(user, "1"), "");
  EXPECT_EQ(create(user, "2"), "QUOTA_JOBS");
  EXPECT_EQ(create(admin, "3"), "");
}

}  // namespace
}  // namespace lathe::testing

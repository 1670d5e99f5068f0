// Tests against a real server on loopback, with workers that simulate.
#ifndef LATHE_SERVER_TESTING_SERVER_FIXTURE_H_
#define LATHE_SERVER_TESTING_SERVER_FIXTURE_H_

#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>
#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "proto/artifact.grpc.pb.h"
#include "proto/search.grpc.pb.h"
#include "proto/worker.grpc.pb.h"
#include "server/server.h"

namespace lathe::testing {

// What a failed call says.
struct CallError {
  grpc::StatusCode code = grpc::StatusCode::OK;
  std::string message;
  // Of the ErrorInfo; its domain is checked to be "lathe".
  std::string reason;
};
CallError ErrorOf(const grpc::Status& status);

// A client context with a deadline that only a hanging server meets.
std::unique_ptr<grpc::ClientContext> NewContext();

// Polls until `is_true`; false after 30 seconds.
bool Eventually(const std::function<bool()>& is_true);

// A worker process, as far as the server sees one. Not thread-safe.
class ScriptedWorker {
 public:
  // Registers as `session` (16 characters or more) that works on `fences`.
  ScriptedWorker(const std::shared_ptr<grpc::Channel>& channel,
                 std::string session, const std::vector<int64_t>& fences = {});

  grpc::Status Register(const std::vector<int64_t>& fences = {});
  // Waits for up to `wait`.
  std::vector<v1::Lease> Lease(int slots = 1,
                               absl::Duration wait = absl::Seconds(20));
  grpc::Status TryLease(const v1::LeaseTrialsRequest& request,
                        v1::LeaseTrialsResponse* response);
  // With what SimulatedOutcome measures.
  grpc::Status Complete(const v1::Lease& lease,
                        v1::CompleteTrialResponse* response = nullptr);
  grpc::Status Complete(int64_t fence, const v1::Outcome& outcome,
                        v1::CompleteTrialResponse* response = nullptr);
  // Complete, but where the model is wanted that is asked for first.
  grpc::Status Offer(const v1::Lease& lease, v1::CompleteTrialResponse* answer);
  // With a model that was uploaded.
  grpc::Status CompleteWithArtifact(const v1::Lease& lease,
                                    const std::string& digest);
  grpc::Status Fail(const v1::Lease& lease, v1::OutcomeKind kind,
                    const std::string& reason);
  v1::RenewLeasesResponse Renew(const std::vector<int64_t>& fences);
  grpc::Status Release(const std::vector<int64_t>& fences);

  const std::string& session() const { return session_; }
  const std::string& name() const { return name_; }

 private:
  grpc::Status Send(v1::CompleteTrialRequest request,
                    v1::CompleteTrialResponse* response);

  const std::unique_ptr<v1::Workers::Stub> stub_;
  const std::string session_;
  std::string name_;
};

class ServerTest : public ::testing::Test {
 protected:
  ServerTest();
  ~ServerTest() override;

  // Starts a server on the test's folder, with leases that live for `ttl`.
  void StartServer(absl::Duration ttl = absl::Seconds(30));
  // Starts a server with options of the test's own.
  void ServeWith(const ServerOptions& options);
  void StopServer();

  v1::JobSpec Spec(int64_t trials, const std::string& agent = "random");
  std::string Upload(const std::string& bytes);
  grpc::Status TryUpload(const std::string& bytes);
  grpc::Status TryCreateJob(const v1::JobSpec& spec,
                            const std::string& request_id, v1::Job* job);
  // The name of a new job.
  std::string CreateJob(const v1::JobSpec& spec);
  v1::Job GetJob(const std::string& name);
  std::vector<v1::Trial> Trials(const std::string& job);
  v1::Trial GetTrial(const std::string& job, int64_t number);
  // All events after `sequence` until the stream ends.
  std::vector<v1::Event> Watch(const std::string& job, int64_t sequence,
                               grpc::Status* status = nullptr);

  ScriptedWorker NewWorker(const std::string& session = "session-0123456789",
                           const std::vector<int64_t>& fences = {});
  // Lets the worker work until the job has ended.
  v1::Job RunToEnd(ScriptedWorker& worker, const std::string& job);
  // Lets it complete `count` trials.
  void RunTrials(ScriptedWorker& worker, int count);

  std::string folder_;
  std::unique_ptr<Server> server_;
  std::shared_ptr<grpc::Channel> channel_;
  std::unique_ptr<v1::Search::Stub> search_;
  std::unique_ptr<v1::Artifacts::Stub> artifacts_;
  std::unique_ptr<v1::Admin::Stub> admin_;

 private:
  int next_request_ = 0;
};

}  // namespace lathe::testing

#endif  // LATHE_SERVER_TESTING_SERVER_FIXTURE_H_

// A server of workers in this process that answers as a test says.
#ifndef LATHE_CLIENT_WORKER_TESTING_SCRIPTED_SERVER_H_
#define LATHE_CLIENT_WORKER_TESTING_SCRIPTED_SERVER_H_

#include <grpcpp/server.h>

#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "proto/artifact.grpc.pb.h"
#include "proto/worker.grpc.pb.h"

namespace lathe {

// What the server is to do; set before it is started.
struct Script {
  // Given one after the other; then the worker is drained.
  std::vector<v1::Lease> leases;
  // Statuses of the first completions; then OK.
  std::deque<absl::Status> completions;
  // Asks for the model that a completion offers.
  bool asks_for_artifact = false;
  // Of the first uploads; then the blob is there.
  std::deque<absl::Status> uploads;
  // Answer to a renewal with a lease in hand.
  v1::RenewLeasesResponse::Verdict verdict = v1::RenewLeasesResponse::GO_ON;
  absl::Status renewal;
  // Called at such a renewal.
  std::function<void()> at_renewal = [] {};
  double give_up_seconds = 60;
};

// Records every call as one line, for instance "complete 7 MEASURED". Says that
// it has every blob. Thread-safe.
class ScriptedServer : public v1::Workers::Service,
                       public v1::Artifacts::Service {
 public:
  explicit ScriptedServer(Script script);
  ~ScriptedServer() override;

  const std::string& address() const { return address_; }
  std::vector<std::string> calls() const ABSL_LOCKS_EXCLUDED(mu_);
  // What the first request for leases said of the worker's time.
  std::optional<double> remaining_seconds() const ABSL_LOCKS_EXCLUDED(mu_);

 private:
  void Record(std::string call) ABSL_LOCKS_EXCLUDED(mu_);

  grpc::Status RegisterWorker(grpc::ServerContext*,
                              const v1::RegisterWorkerRequest* request,
                              v1::RegisterWorkerResponse* response) override;
  grpc::Status LeaseTrials(grpc::ServerContext*,
                           const v1::LeaseTrialsRequest* request,
                           v1::LeaseTrialsResponse* response) override;
  grpc::Status RenewLeases(grpc::ServerContext*,
                           const v1::RenewLeasesRequest* request,
                           v1::RenewLeasesResponse* response) override;
  grpc::Status CompleteTrial(grpc::ServerContext*,
                             const v1::CompleteTrialRequest* request,
                             v1::CompleteTrialResponse* response) override;
  grpc::Status ReleaseLeases(grpc::ServerContext*,
                             const v1::ReleaseLeasesRequest* request,
                             google::protobuf::Empty*) override;
  grpc::Status GetWriteStatus(grpc::ServerContext*,
                              const v1::GetWriteStatusRequest* request,
                              v1::WriteStatus* response) override;

  mutable absl::Mutex mu_;
  Script script_ ABSL_GUARDED_BY(mu_);
  size_t leases_given_ ABSL_GUARDED_BY(mu_) = 0;
  std::optional<double> remaining_seconds_ ABSL_GUARDED_BY(mu_);
  std::vector<std::string> calls_ ABSL_GUARDED_BY(mu_);
  std::string address_;
  std::unique_ptr<grpc::Server> server_;
};

}  // namespace lathe

#endif  // LATHE_CLIENT_WORKER_TESTING_SCRIPTED_SERVER_H_

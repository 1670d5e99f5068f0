// The workers' service.
#ifndef LATHE_SERVER_WORKER_SERVICE_H_
#define LATHE_SERVER_WORKER_SERVICE_H_

#include <grpcpp/support/server_callback.h>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "proto/worker.grpc.pb.h"
#include "server/call_gate.h"
#include "server/completion_desk.h"
#include "server/lease_desk.h"
#include "server/lease_table.h"
#include "server/roles.h"
#include "server/signals.h"
#include "server/worker_registry.h"
#include "storage/store.h"

namespace lathe {

// What the service works with; all must outlive it.
struct WorkerServiceParts {
  Store* store = nullptr;
  LeaseTable* leases = nullptr;
  LeaseDesk* lease_desk = nullptr;
  CompletionDesk* completion_desk = nullptr;
  WorkerRegistry* workers = nullptr;
  CallGate* gate = nullptr;
  const Signals* signals = nullptr;
  LeaseTimes times;
};

// See proto/worker.proto for what each call promises. Thread-safe.
class WorkerService final : public v1::Workers::CallbackService {
 public:
  explicit WorkerService(const WorkerServiceParts& parts) : parts_(parts) {}

  grpc::ServerUnaryReactor* RegisterWorker(
      grpc::CallbackServerContext* context,
      const v1::RegisterWorkerRequest* request,
      v1::RegisterWorkerResponse* response) override;
  grpc::ServerUnaryReactor* LeaseTrials(
      grpc::CallbackServerContext* context,
      const v1::LeaseTrialsRequest* request,
      v1::LeaseTrialsResponse* response) override;
  grpc::ServerUnaryReactor* RenewLeases(
      grpc::CallbackServerContext* context,
      const v1::RenewLeasesRequest* request,
      v1::RenewLeasesResponse* response) override;
  grpc::ServerUnaryReactor* CompleteTrial(
      grpc::CallbackServerContext* context,
      const v1::CompleteTrialRequest* request,
      v1::CompleteTrialResponse* response) override;
  grpc::ServerUnaryReactor* ReleaseLeases(
      grpc::CallbackServerContext* context,
      const v1::ReleaseLeasesRequest* request,
      google::protobuf::Empty* response) override;

 private:
  absl::StatusOr<v1::RegisterWorkerResponse> Register(
      const v1::RegisterWorkerRequest& request, const Caller& caller);
  // Whether the caller may, and the request makes sense.
  absl::Status CheckLeaseCall(const grpc::CallbackServerContext& context,
                              const v1::LeaseTrialsRequest& request);
  // Renews the leases that the worker works on; ends those of its session that
  // it does not list: the answer that granted them was lost.
  absl::Status ReconcileLeases(const v1::RegisterWorkerRequest& request);
  v1::RenewLeasesResponse Renew(const v1::RenewLeasesRequest& request);
  absl::Status Release(const v1::ReleaseLeasesRequest& request);

  const WorkerServiceParts parts_;
};

}  // namespace lathe

#endif  // LATHE_SERVER_WORKER_SERVICE_H_

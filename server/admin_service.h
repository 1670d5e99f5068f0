// The service of the server's own state.
#ifndef LATHE_SERVER_ADMIN_SERVICE_H_
#define LATHE_SERVER_ADMIN_SERVICE_H_

#include <grpcpp/support/server_callback.h>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "proto/artifact.grpc.pb.h"
#include "server/call_gate.h"
#include "server/housekeeper.h"
#include "server/lease_table.h"
#include "server/signals.h"
#include "server/steady.h"
#include "server/worker_registry.h"
#include "storage/blob_store.h"
#include "storage/store.h"

namespace lathe {

// What the service works with; all must outlive it.
struct AdminServiceParts {
  Store* store = nullptr;
  BlobStore* blobs = nullptr;
  Housekeeper* housekeeper = nullptr;
  LeaseTable* leases = nullptr;
  WorkerRegistry* workers = nullptr;
  CallGate* gate = nullptr;
  const Signals* signals = nullptr;
  bool is_encrypted = false;
};

// See proto/artifact.proto for what each call promises. Thread-safe.
class AdminService final : public v1::Admin::CallbackService {
 public:
  explicit AdminService(const AdminServiceParts& parts)
      : parts_(parts), started_(SteadyNow()) {}

  grpc::ServerUnaryReactor* ListWorkers(
      grpc::CallbackServerContext* context,
      const google::protobuf::Empty* request,
      v1::ListWorkersResponse* response) override;
  grpc::ServerUnaryReactor* DrainWorker(
      grpc::CallbackServerContext* context,
      const v1::DrainWorkerRequest* request,
      google::protobuf::Empty* response) override;
  grpc::ServerUnaryReactor* CordonWorker(
      grpc::CallbackServerContext* context,
      const v1::CordonWorkerRequest* request,
      google::protobuf::Empty* response) override;
  grpc::ServerUnaryReactor* Backup(grpc::CallbackServerContext* context,
                                   const v1::BackupRequest* request,
                                   v1::BackupResponse* response) override;
  grpc::ServerUnaryReactor* CheckIntegrity(
      grpc::CallbackServerContext* context,
      const v1::CheckIntegrityRequest* request,
      v1::CheckIntegrityResponse* response) override;
  grpc::ServerUnaryReactor* CollectGarbage(
      grpc::CallbackServerContext* context,
      const v1::CollectGarbageRequest* request,
      v1::CollectGarbageResponse* response) override;
  grpc::ServerUnaryReactor* GetServerInfo(
      grpc::CallbackServerContext* context,
      const google::protobuf::Empty* request,
      v1::ServerInfo* response) override;

 private:
  absl::Status SetCordoned(const v1::CordonWorkerRequest& request);

  const AdminServiceParts parts_;
  const absl::Time started_;
};

}  // namespace lathe

#endif  // LATHE_SERVER_ADMIN_SERVICE_H_

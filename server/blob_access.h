// Which blobs a worker may touch.
#ifndef LATHE_SERVER_BLOB_ACCESS_H_
#define LATHE_SERVER_BLOB_ACCESS_H_

#include <grpcpp/support/server_callback.h>

#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "server/roles.h"
#include "server/worker_registry.h"
#include "storage/store.h"

namespace lathe {

// A worker reads what the job of its active lease refers to, and writes for a
// lease that is active or that it completed as measured; session and fence are
// in the call's metadata (proto/artifact.proto). Other roles are not held
// back here. Thread-safe.
//
// Errors of every method: PermissionDenied (NOT_LEASED), (SESSION_NOT_YOURS).
class BlobAccess {
 public:
  // Both must outlive this.
  BlobAccess(Store* store, WorkerRegistry* workers)
      : store_(*store), workers_(*workers) {}

  absl::Status CheckRead(const grpc::CallbackServerContext& context,
                         const Caller& caller, absl::string_view digest);
  absl::Status CheckWrite(const grpc::CallbackServerContext& context,
                          const Caller& caller);

 private:
  // The attempt that the metadata names, if it is the caller's.
  absl::StatusOr<AttemptRecord> FindAttempt(
      const grpc::CallbackServerContext& context, const Caller& caller);

  Store& store_;
  WorkerRegistry& workers_;
};

}  // namespace lathe

#endif  // LATHE_SERVER_BLOB_ACCESS_H_

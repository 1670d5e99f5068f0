// The service of blobs.
#ifndef LATHE_SERVER_ARTIFACT_SERVICE_H_
#define LATHE_SERVER_ARTIFACT_SERVICE_H_

#include <grpcpp/support/server_callback.h>

#include "proto/artifact.grpc.pb.h"
#include "server/work_pool.h"
#include "storage/blob_store.h"

namespace lathe {

// See proto/artifact.proto for what each call promises. Thread-safe.
class ArtifactService final : public v1::Artifacts::CallbackService {
 public:
  // Both must outlive this.
  ArtifactService(BlobStore* blobs, WorkPool* pool)
      : blobs_(*blobs), pool_(*pool) {}

  grpc::ServerUnaryReactor* FindMissing(
      grpc::CallbackServerContext* context,
      const v1::FindMissingRequest* request,
      v1::FindMissingResponse* response) override;
  grpc::ServerReadReactor<v1::WriteRequest>* Write(
      grpc::CallbackServerContext* context,
      v1::WriteResponse* response) override;
  grpc::ServerWriteReactor<v1::ReadResponse>* Read(
      grpc::CallbackServerContext* context,
      const v1::ReadRequest* request) override;

 private:
  BlobStore& blobs_;
  WorkPool& pool_;
};

}  // namespace lathe

#endif  // LATHE_SERVER_ARTIFACT_SERVICE_H_

// The service of blobs.
#ifndef LATHE_SERVER_ARTIFACT_SERVICE_H_
#define LATHE_SERVER_ARTIFACT_SERVICE_H_

#include <grpcpp/support/server_callback.h>

#include "proto/artifact.grpc.pb.h"
#include "server/blob_streams.h"

namespace lathe {

// What the service works with; all must outlive it.
using ArtifactServiceParts = BlobStreamParts;

// See proto/artifact.proto for what each call promises. Thread-safe.
class ArtifactService final : public v1::Artifacts::CallbackService {
 public:
  explicit ArtifactService(const ArtifactServiceParts& parts) : parts_(parts) {}

  grpc::ServerUnaryReactor* FindMissing(
      grpc::CallbackServerContext* context,
      const v1::FindMissingRequest* request,
      v1::FindMissingResponse* response) override;
  grpc::ServerUnaryReactor* GetWriteStatus(
      grpc::CallbackServerContext* context,
      const v1::GetWriteStatusRequest* request,
      v1::WriteStatus* response) override;
  grpc::ServerReadReactor<v1::WriteRequest>* Write(
      grpc::CallbackServerContext* context,
      v1::WriteResponse* response) override;
  grpc::ServerWriteReactor<v1::ReadResponse>* Read(
      grpc::CallbackServerContext* context,
      const v1::ReadRequest* request) override;

 private:
  const ArtifactServiceParts parts_;
};

}  // namespace lathe

#endif  // LATHE_SERVER_ARTIFACT_SERVICE_H_

// The server's side of one Write or Read of a blob.
#ifndef LATHE_SERVER_BLOB_STREAMS_H_
#define LATHE_SERVER_BLOB_STREAMS_H_

#include <grpcpp/support/server_callback.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/digest.h"
#include "proto/artifact.pb.h"
#include "server/blob_access.h"
#include "server/call_gate.h"
#include "server/open_calls.h"
#include "server/upload_quota.h"
#include "storage/blob_store.h"
#include "storage/store.h"

namespace lathe {

// What the calls work with; all must outlive them.
struct BlobStreamParts {
  BlobStore* blobs = nullptr;
  Store* store = nullptr;
  BlobAccess* access = nullptr;
  UploadQuota* quota = nullptr;
  CallGate* gate = nullptr;
};

// Stores the chunks of one blob; the disk is written in the pool. Deletes
// itself when the call is over.
class BlobWriteReactor : public grpc::ServerReadReactor<v1::WriteRequest> {
 public:
  // All must outlive the call.
  BlobWriteReactor(const grpc::CallbackServerContext* context,
                   const BlobStreamParts& parts, v1::WriteResponse* response);

  void OnReadDone(bool is_ok) override;
  void OnDone() override { delete this; }

 private:
  // Ends the call unless its caller may write.
  void Begin();
  absl::Status Admit();
  // Takes in the chunk in `request_`. False when the call is over.
  bool TakeChunk();
  absl::Status Append();
  // Takes of the quota what the next chunk, and what arrived before, need.
  absl::Status TakeQuota();
  void Commit();
  absl::Status Store();
  void End(const absl::Status& status);

  const grpc::CallbackServerContext& context_;
  const BlobStreamParts parts_;
  const OpenCall open_call_;
  const StreamPlace place_;
  v1::WriteResponse& response_;
  v1::WriteRequest request_;
  std::string digest_;
  // Who is charged; none: nobody.
  std::optional<std::string> creator_;
  int64_t charged_bytes_ = 0;
  int64_t bytes_ = 0;
  std::unique_ptr<BlobWriter> writer_;
};

// Sends a blob from an offset on, one chunk in memory at a time; whole blobs
// are verified on the way. Deletes itself when the call is over.
class BlobReadReactor : public grpc::ServerWriteReactor<v1::ReadResponse> {
 public:
  // All must outlive the call.
  BlobReadReactor(const grpc::CallbackServerContext* context,
                  const BlobStreamParts& parts, const v1::ReadRequest& request);

  void OnWriteDone(bool is_ok) override;
  void OnDone() override { delete this; }

 private:
  void Begin();
  void SendChunk();
  absl::Status ReadChunk();
  absl::Status Verify();

  const grpc::CallbackServerContext& context_;
  const BlobStreamParts parts_;
  const OpenCall open_call_;
  const StreamPlace place_;
  const std::string digest_;
  const bool is_whole_;
  int64_t offset_;
  DigestBuilder builder_;
  v1::ReadResponse chunk_;
};

}  // namespace lathe

#endif  // LATHE_SERVER_BLOB_STREAMS_H_

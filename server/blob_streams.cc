#include "server/blob_streams.h"

#include <grpcpp/server_context.h>

#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "server/errors.h"
#include "server/roles.h"

namespace lathe {
namespace {

constexpr int64_t kChunkBytes = 1 << 20;

constexpr CodeReason kReasons[] = {
    {absl::StatusCode::kNotFound, "BLOB_NOT_FOUND"},
    {absl::StatusCode::kOutOfRange, "OFFSET_INVALID"},
    {absl::StatusCode::kResourceExhausted, "STORAGE_FULL"}};

}  // namespace

// ------------------------------------------------------------------- Write

BlobWriteReactor::BlobWriteReactor(const grpc::CallbackServerContext* context,
                                   const BlobStreamParts& parts,
                                   v1::WriteResponse* response)
    : context_(*context),
      parts_(parts),
      open_call_(&parts.gate->pool().open_calls()),
      place_(parts.gate),
      response_(*response) {
  parts_.gate->pool().Run([this] { Begin(); });
}

void BlobWriteReactor::Begin() {
  // Before anything is read: a stranger who sends nothing keeps no place.
  const absl::Status admitted = Admit();
  if (admitted.ok()) {
    StartRead(&request_);
  } else {
    End(admitted);
  }
}

absl::Status BlobWriteReactor::Admit() {
  LATHE_ASSIGN_OR_RETURN(const Caller caller,
                         parts_.gate->Admit(context_, "Artifacts.Write"));
  LATHE_RETURN_IF_ERROR(place_.status());
  absl::Status status = parts_.access->CheckWrite(context_, caller);
  if (!status.ok()) parts_.gate->Note(caller, "Artifacts.Write", "", status);
  if (caller.role != Role::kWorker) creator_ = caller.name;
  return status;
}

void BlobWriteReactor::OnReadDone(bool is_ok) {
  parts_.gate->pool().Run([this, is_ok] {
    if (!is_ok) {
      // A stream that broke keeps what arrived; only its end commits.
      if (context_.IsCancelled()) {
        End(absl::CancelledError("the caller left"));
      } else {
        Commit();
      }
    } else if (TakeChunk()) {
      StartRead(&request_);
    }
  });
}

bool BlobWriteReactor::TakeChunk() {
  if (digest_.empty()) {
    digest_ = request_.digest();
    if (parts_.blobs->Touch(digest_)) {
      response_.set_bytes(parts_.blobs->Size(digest_).value_or(0));
      End(absl::OkStatus());
      return false;
    }
  }
  const absl::Status appended = Append();
  if (!appended.ok()) End(WithReasons(appended, kReasons));
  return appended.ok();
}

absl::Status BlobWriteReactor::Append() {
  if (!request_.digest().empty() && request_.digest() != digest_) {
    return MakeError(absl::StatusCode::kInvalidArgument, "DIGEST_MISMATCH",
                     "a later message names another digest than the first");
  }
  if (writer_ == nullptr) {
    absl::StatusOr<std::unique_ptr<BlobWriter>> writer =
        parts_.blobs->Write(digest_, request_.offset());
    if (absl::IsInvalidArgument(writer.status())) {
      return WithReason(writer.status(), "FIELD_INVALID");
    }
    LATHE_ASSIGN_OR_RETURN(writer_, std::move(writer));
    bytes_ = request_.offset();
  }
  bytes_ += static_cast<int64_t>(request_.data().size());
  LATHE_RETURN_IF_ERROR(TakeQuota());
  return writer_->Append(request_.data());
}

absl::Status BlobWriteReactor::TakeQuota() {
  if (!creator_.has_value()) return absl::OkStatus();
  LATHE_RETURN_IF_ERROR(parts_.quota->Take(*creator_, bytes_ - charged_bytes_));
  charged_bytes_ = bytes_;
  return absl::OkStatus();
}

absl::Status BlobWriteReactor::Store() {
  LATHE_RETURN_IF_ERROR(writer_->Commit());
  if (!creator_.has_value()) return absl::OkStatus();
  return parts_.store->RecordUpload({digest_, *creator_, bytes_});
}

void BlobWriteReactor::Commit() {
  if (writer_ == nullptr) {
    End(MakeError(absl::StatusCode::kInvalidArgument, "FIELD_INVALID",
                  "digest: the stream ended before its first message"));
    return;
  }
  const absl::Status committed = Store();
  response_.set_bytes(bytes_);
  End(absl::IsInvalidArgument(committed)
          ? WithReason(committed, "DIGEST_MISMATCH")
          : WithReasons(committed, kReasons));
}

void BlobWriteReactor::End(const absl::Status& status) {
  writer_.reset();
  if (creator_.has_value()) parts_.quota->GiveBack(*creator_, charged_bytes_);
  Finish(ToGrpc(status));
}

// -------------------------------------------------------------------- Read

BlobReadReactor::BlobReadReactor(const grpc::CallbackServerContext* context,
                                 const BlobStreamParts& parts,
                                 const v1::ReadRequest& request)
    : context_(*context),
      parts_(parts),
      open_call_(&parts.gate->pool().open_calls()),
      place_(parts.gate),
      digest_(request.digest()),
      is_whole_(request.offset() == 0),
      offset_(request.offset()) {
  parts_.gate->pool().Run([this] { Begin(); });
}

void BlobReadReactor::Begin() {
  const absl::StatusOr<Caller> caller =
      parts_.gate->Admit(context_, "Artifacts.Read");
  absl::Status status = caller.status();
  if (status.ok()) status = place_.status();
  if (status.ok()) {
    status = parts_.access->CheckRead(context_, *caller, digest_);
    if (!status.ok()) {
      parts_.gate->Note(*caller, "Artifacts.Read", digest_, status);
    }
  }
  if (status.ok()) {
    SendChunk();
  } else {
    Finish(ToGrpc(status));
  }
}

void BlobReadReactor::SendChunk() {
  const absl::Status read = ReadChunk();
  if (!read.ok()) {
    Finish(ToGrpc(WithReasons(read, kReasons)));
  } else if (chunk_.data().empty()) {
    Finish(ToGrpc(Verify()));
  } else {
    StartWrite(&chunk_);
  }
}

absl::Status BlobReadReactor::ReadChunk() {
  LATHE_ASSIGN_OR_RETURN(const int64_t total_bytes,
                         parts_.blobs->Size(digest_));
  LATHE_ASSIGN_OR_RETURN(std::string bytes,
                         parts_.blobs->Read(digest_, offset_, kChunkBytes));
  if (is_whole_) builder_.Add(bytes);
  offset_ += static_cast<int64_t>(bytes.size());
  chunk_.set_data(std::move(bytes));
  chunk_.set_total_bytes(total_bytes);
  return absl::OkStatus();
}

absl::Status BlobReadReactor::Verify() {
  if (!is_whole_ || builder_.Finish() == digest_) return absl::OkStatus();
  return MakeError(
      absl::StatusCode::kDataLoss, "BLOB_DAMAGED",
      absl::StrCat("the stored bytes of blob ", digest_,
                   " do not have that digest; remove the file and upload the "
                   "blob again"));
}

void BlobReadReactor::OnWriteDone(bool is_ok) {
  if (!is_ok) {
    Finish(ToGrpc(absl::CancelledError("the caller left")));
    return;
  }
  parts_.gate->pool().Run([this] { SendChunk(); });
}

}  // namespace lathe

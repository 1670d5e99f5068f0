#include "server/blob_streams.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "server/errors.h"

namespace lathe {
namespace {

constexpr int64_t kChunkBytes = 1 << 20;

constexpr CodeReason kReasons[] = {
    {absl::StatusCode::kNotFound, "BLOB_NOT_FOUND"},
    {absl::StatusCode::kOutOfRange, "OFFSET_INVALID"},
    {absl::StatusCode::kResourceExhausted, "STORAGE_FULL"}};

}  // namespace

// ------------------------------------------------------------------- Write

BlobWriteReactor::BlobWriteReactor(BlobStore* blobs, WorkPool* pool,
                                   v1::WriteResponse* response)
    : blobs_(*blobs),
      pool_(*pool),
      open_call_(&pool->open_calls()),
      response_(*response) {
  StartRead(&request_);
}

void BlobWriteReactor::OnReadDone(bool is_ok) {
  pool_.Run([this, is_ok] {
    if (!is_ok) {
      Commit();
    } else if (TakeChunk()) {
      StartRead(&request_);
    }
  });
}

bool BlobWriteReactor::TakeChunk() {
  if (digest_.empty()) {
    digest_ = request_.digest();
    if (blobs_.Contains(digest_)) {
      response_.set_bytes(blobs_.Size(digest_).value_or(0));
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
    absl::StatusOr<std::unique_ptr<BlobWriter>> writer = blobs_.Write(digest_);
    if (absl::IsInvalidArgument(writer.status())) {
      return WithReason(writer.status(), "FIELD_INVALID");
    }
    LATHE_ASSIGN_OR_RETURN(writer_, std::move(writer));
  }
  bytes_ += static_cast<int64_t>(request_.data().size());
  return writer_->Append(request_.data());
}

void BlobWriteReactor::Commit() {
  if (writer_ == nullptr) {
    End(MakeError(absl::StatusCode::kInvalidArgument, "FIELD_INVALID",
                  "digest: the stream ended before its first message"));
    return;
  }
  const absl::Status committed = writer_->Commit();
  response_.set_bytes(bytes_);
  End(absl::IsInvalidArgument(committed)
          ? WithReason(committed, "DIGEST_MISMATCH")
          : WithReasons(committed, kReasons));
}

void BlobWriteReactor::End(const absl::Status& status) {
  writer_.reset();
  Finish(ToGrpc(status));
}

// -------------------------------------------------------------------- Read

BlobReadReactor::BlobReadReactor(BlobStore* blobs, WorkPool* pool,
                                 const v1::ReadRequest& request)
    : blobs_(*blobs),
      pool_(*pool),
      open_call_(&pool->open_calls()),
      digest_(request.digest()),
      is_whole_(request.offset() == 0),
      offset_(request.offset()) {
  pool_.Run([this] { SendChunk(); });
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
  LATHE_ASSIGN_OR_RETURN(const int64_t total_bytes, blobs_.Size(digest_));
  LATHE_ASSIGN_OR_RETURN(std::string bytes,
                         blobs_.Read(digest_, offset_, kChunkBytes));
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
  pool_.Run([this] { SendChunk(); });
}

}  // namespace lathe

#include "client/blobs.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <functional>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/digest.h"
#include "base/file.h"
#include "base/file_digest.h"
#include "base/status.h"
#include "client/status.h"
#include "client/unary_call.h"
#include "proto/artifact.grpc.pb.h"

namespace lathe {
namespace {

// Well below the 4 MiB that a gRPC server takes unless told otherwise.
constexpr size_t kChunkBytes = 1 << 20;

// One second for each MiB: a link slower than that is better reported.
RetryOptions WithTimeFor(RetryOptions options, size_t bytes) {
  options.call_timeout += absl::Seconds(bytes / kChunkBytes);
  return options;
}

absl::StatusOr<v1::WriteStatus> StatusOfWrite(v1::Artifacts::Stub& stub,
                                              const std::string& digest,
                                              const RetryOptions& options) {
  v1::GetWriteStatusRequest request;
  request.set_digest(digest);
  return CallUnary(stub, &v1::Artifacts::Stub::GetWriteStatus, request,
                   options);
}

// Where a blob's bytes come from, chunk by chunk.
struct BlobSource {
  std::string digest;
  size_t bytes = 0;
  // At most kChunkBytes from an offset below `bytes` on.
  std::function<absl::StatusOr<std::string>(size_t offset)> read;
};

absl::Status WriteOnce(v1::Artifacts::Stub& stub, grpc::ClientContext& context,
                       const BlobSource& source, size_t offset) {
  v1::WriteResponse response;
  const auto writer = stub.Write(&context, &response);
  v1::WriteRequest request;
  request.set_digest(source.digest);
  request.set_offset(static_cast<int64_t>(offset));
  // The first message is sent even for an empty blob.
  bool is_open = true;
  for (size_t begin = offset;
       is_open && (begin == offset || begin < source.bytes);
       begin += kChunkBytes) {
    absl::StatusOr<std::string> chunk = source.read(begin);
    if (!chunk.ok()) {
      context.TryCancel();
      writer->Finish();
      return chunk.status();
    }
    request.set_data(*std::move(chunk));
    // False when the server ended the call early; Finish says why.
    is_open = writer->Write(request);
    request.clear_digest();
    request.clear_offset();
  }
  writer->WritesDone();
  return FromGrpc(writer->Finish());
}

// Writes a blob unless the server has it, going on where an earlier attempt
// broke; a first part that is not this blob's is written again.
absl::Status WriteRest(v1::Artifacts::Stub& stub, const BlobSource& source,
                       const RetryOptions& options) {
  Backoff backoff(options);
  const Patience patience(options.give_up_after);
  bool may_resume = true;
  while (true) {
    LATHE_ASSIGN_OR_RETURN(const v1::WriteStatus arrived,
                           StatusOfWrite(stub, source.digest, options));
    if (arrived.is_complete()) return absl::OkStatus();
    const auto had = static_cast<size_t>(std::clamp<int64_t>(
        arrived.committed_bytes(), 0, static_cast<int64_t>(source.bytes)));
    const size_t offset = may_resume ? had : 0;
    grpc::ClientContext context;
    SetTimeout(context, WithTimeFor(options, source.bytes).call_timeout);
    absl::Status status = WriteOnce(stub, context, source, offset);
    if (offset > 0 &&
        (absl::IsInvalidArgument(status) || absl::IsOutOfRange(status))) {
      may_resume = false;
      continue;
    }
    if (!absl::IsUnavailable(status) || patience.IsOver()) return status;
    absl::SleepFor(backoff.Next());
  }
}

// Where a blob's bytes go.
class BlobSink {
 public:
  virtual ~BlobSink() = default;
  // Of the bytes there are.
  virtual int64_t size() const = 0;
  virtual absl::Status Append(absl::string_view bytes) = 0;
  virtual absl::Status Clear() = 0;
  virtual absl::StatusOr<std::string> Digest() const = 0;
};

class StringSink : public BlobSink {
 public:
  int64_t size() const override { return static_cast<int64_t>(blob_.size()); }
  absl::Status Append(absl::string_view bytes) override {
    absl::StrAppend(&blob_, bytes);
    return absl::OkStatus();
  }
  absl::Status Clear() override {
    blob_.clear();
    return absl::OkStatus();
  }
  absl::StatusOr<std::string> Digest() const override {
    return Sha256Hex(blob_);
  }
  std::string Take() { return std::move(blob_); }

 private:
  std::string blob_;
};

// An open file, appended to.
class FileSink : public BlobSink {
 public:
  static absl::StatusOr<FileSink> Make(int fd) {
    const off_t size = lseek(fd, 0, SEEK_END);
    if (size < 0) return ErrnoToStatus(errno, "a blob's file");
    return FileSink(fd, size);
  }

  int64_t size() const override { return size_; }
  absl::Status Append(absl::string_view bytes) override {
    while (!bytes.empty()) {
      const ssize_t written = pwrite(fd_, bytes.data(), bytes.size(), size_);
      if (written < 0 && errno == EINTR) continue;
      if (written < 0) return ErrnoToStatus(errno, "a blob's file");
      bytes.remove_prefix(written);
      size_ += written;
    }
    return absl::OkStatus();
  }
  absl::Status Clear() override {
    if (ftruncate(fd_, 0) != 0) return ErrnoToStatus(errno, "a blob's file");
    size_ = 0;
    return absl::OkStatus();
  }
  absl::StatusOr<std::string> Digest() const override {
    DigestBuilder digest;
    LATHE_RETURN_IF_ERROR(AddFile(fd_, &digest));
    return digest.Finish();
  }

 private:
  FileSink(int fd, int64_t size) : fd_(fd), size_(size) {}

  int fd_;
  int64_t size_;
};

// Appends what the server sends from sink.size() on. An error of the sink is
// left in `stored`.
grpc::Status ReadRest(v1::Artifacts::Stub& stub, grpc::ClientContext& context,
                      absl::string_view digest, BlobSink& sink,
                      absl::Status& stored) {
  v1::ReadRequest request;
  request.set_digest(std::string(digest));
  request.set_offset(sink.size());
  const auto reader = stub.Read(&context, request);
  v1::ReadResponse response;
  while (stored.ok() && reader->Read(&response)) {
    stored = sink.Append(response.data());
  }
  if (!stored.ok()) context.TryCancel();
  return reader->Finish();
}

// A transfer that moves on may take as many attempts as it needs.
absl::Status DownloadRest(v1::Artifacts::Stub& stub, absl::string_view digest,
                          const RetryOptions& options, BlobSink& sink) {
  while (true) {
    const int64_t before = sink.size();
    absl::Status stored;
    // A read of 256 MiB must fit into one attempt's deadline.
    absl::Status status = CallWithRetry(
        WithTimeFor(options, 256 << 20), [&](grpc::ClientContext& context) {
          return ReadRest(stub, context, digest, sink, stored);
        });
    LATHE_RETURN_IF_ERROR(stored);
    if (status.ok()) return absl::OkStatus();
    const bool may_go_on =
        absl::IsUnavailable(status) || absl::IsDeadlineExceeded(status);
    if (!may_go_on || sink.size() == before) return status;
  }
}

// Brings what `sink` lacks of the blob.
absl::Status Download(const std::shared_ptr<grpc::Channel>& channel,
                      absl::string_view digest, const RetryOptions& options,
                      BlobSink& sink) {
  if (!IsSha256Hex(digest)) {
    return absl::InvalidArgumentError(
        absl::StrCat("blob '", digest, "': not 64 hexadecimal digits"));
  }
  const auto stub = v1::Artifacts::NewStub(channel);
  for (int attempt = 0; attempt < 2; ++attempt) {
    const absl::Status status = DownloadRest(*stub, digest, options, sink);
    // Less is stored there than arrived: another blob's bytes.
    if (absl::IsOutOfRange(status) && sink.size() > 0) {
      LATHE_RETURN_IF_ERROR(sink.Clear());
      continue;
    }
    LATHE_RETURN_IF_ERROR(status);
    LATHE_ASSIGN_OR_RETURN(const std::string actual, sink.Digest());
    if (actual == digest) return absl::OkStatus();
    LATHE_RETURN_IF_ERROR(sink.Clear());
  }
  return absl::DataLossError(absl::StrCat(
      "blob ", digest, ": the bytes received twice do not have this digest"));
}

absl::StatusOr<std::string> Upload(
    const std::shared_ptr<grpc::Channel>& channel, const BlobSource& source,
    const RetryOptions& options) {
  const auto stub = v1::Artifacts::NewStub(channel);
  LATHE_RETURN_IF_ERROR(
      Annotate(WriteRest(*stub, source, options), "uploading a blob"));
  return source.digest;
}

// At most kChunkBytes of an open file.
absl::StatusOr<std::string> ReadChunk(int fd, size_t offset) {
  std::string bytes(kChunkBytes, '\0');
  ssize_t length = 0;
  do {
    length = pread(fd, bytes.data(), bytes.size(), static_cast<off_t>(offset));
  } while (length < 0 && errno == EINTR);
  if (length < 0) return ErrnoToStatus(errno, "a blob's file");
  bytes.resize(length);
  return bytes;
}

}  // namespace

absl::StatusOr<std::string> UploadBlob(
    const std::shared_ptr<grpc::Channel>& channel, absl::string_view bytes,
    const RetryOptions& options) {
  BlobSource source;
  source.digest = Sha256Hex(bytes);
  source.bytes = bytes.size();
  source.read = [bytes](size_t offset) -> absl::StatusOr<std::string> {
    return std::string(bytes.substr(offset, kChunkBytes));
  };
  return Upload(channel, source, options);
}

absl::StatusOr<std::string> UploadFile(
    const std::shared_ptr<grpc::Channel>& channel, const std::string& path,
    const RetryOptions& options) {
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return ErrnoToStatus(errno, path);
  const absl::Cleanup close_fd = [fd] { close(fd); };
  BlobSource source;
  DigestBuilder digest;
  LATHE_RETURN_IF_ERROR(Annotate(AddFile(fd, &digest), path));
  source.digest = digest.Finish();
  const off_t size = lseek(fd, 0, SEEK_END);
  if (size < 0) return ErrnoToStatus(errno, path);
  source.bytes = static_cast<size_t>(size);
  source.read = [fd](size_t offset) { return ReadChunk(fd, offset); };
  return Upload(channel, source, options);
}

absl::Status DownloadToFile(const std::shared_ptr<grpc::Channel>& channel,
                            absl::string_view digest, int fd,
                            const RetryOptions& options) {
  LATHE_ASSIGN_OR_RETURN(FileSink sink, FileSink::Make(fd));
  return Download(channel, digest, options, sink);
}

absl::StatusOr<std::string> DownloadBlob(
    const std::shared_ptr<grpc::Channel>& channel, absl::string_view digest,
    const RetryOptions& options) {
  StringSink sink;
  LATHE_RETURN_IF_ERROR(Download(channel, digest, options, sink));
  return sink.Take();
}

}  // namespace lathe

// Status conversion, retries and blobs, against a server in this process.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/digest.h"
#include "base/file.h"
#include "client/blobs.h"
#include "client/channel.h"
#include "client/retry.h"
#include "client/status.h"
#include "proto/artifact.grpc.pb.h"

namespace lathe {
namespace {

// Holds blobs in memory and fails as told. Used by one call at a time.
class FakeArtifacts final : public v1::Artifacts::Service {
 public:
  grpc::Status GetWriteStatus(grpc::ServerContext*,
                              const v1::GetWriteStatusRequest* request,
                              v1::WriteStatus* response) override {
    response->set_is_complete(blobs.count(request->digest()) > 0);
    response->set_committed_bytes(partial.size());
    return grpc::Status::OK;
  }

  grpc::Status Write(grpc::ServerContext*,
                     grpc::ServerReader<v1::WriteRequest>* reader,
                     v1::WriteResponse*) override {
    ++writes;
    if (writes <= failing_writes) {
      return grpc::Status(grpc::StatusCode::UNAVAILABLE, "not now");
    }
    v1::WriteRequest request;
    std::string digest, bytes;
    while (reader->Read(&request)) {
      if (digest.empty()) {
        digest = request.digest();
        write_offsets.push_back(request.offset());
        bytes = partial.substr(0, request.offset());
      }
      bytes += request.data();
      if (writes <= breaking_writes) {
        partial = bytes;
        return grpc::Status(grpc::StatusCode::UNAVAILABLE, "broken");
      }
    }
    if (Sha256Hex(bytes) != digest) {
      partial.clear();
      return grpc::Status(grpc::StatusCode::INVALID_ARGUMENT, "digest");
    }
    blobs[digest] = bytes;
    return grpc::Status::OK;
  }

  grpc::Status Read(grpc::ServerContext*, const v1::ReadRequest* request,
                    grpc::ServerWriter<v1::ReadResponse>* writer) override {
    offsets.push_back(request->offset());
    const auto it = blobs.find(request->digest());
    if (it == blobs.end()) {
      return grpc::Status(grpc::StatusCode::NOT_FOUND, "no such blob");
    }
    if (request->offset() > static_cast<int64_t>(it->second.size())) {
      return grpc::Status(grpc::StatusCode::OUT_OF_RANGE, "offset");
    }
    v1::ReadResponse response;
    response.set_total_bytes(it->second.size());
    // One chunk of 5 bytes, then the connection breaks.
    const bool breaks = static_cast<int>(offsets.size()) <= breaking_reads;
    response.set_data(breaks ? it->second.substr(request->offset(), 5)
                             : it->second.substr(request->offset()));
    writer->Write(response);
    return breaks ? grpc::Status(grpc::StatusCode::UNAVAILABLE, "broken")
                  : grpc::Status::OK;
  }

  std::map<std::string, std::string> blobs;
  // What arrived of the blob that is being written.
  std::string partial;
  std::vector<int64_t> offsets;
  std::vector<int64_t> write_offsets;
  int writes = 0;
  // Writes that break after their first chunk.
  int breaking_writes = 0;
  int failing_writes = 0;
  int breaking_reads = 0;
};

RetryOptions Fast() {
  RetryOptions options;
  options.first_backoff = absl::Milliseconds(1);
  options.most_backoff = absl::Milliseconds(1);
  return options;
}

class Blobs : public ::testing::Test {
 protected:
  Blobs() {
    grpc::ServerBuilder builder;
    builder.RegisterService(&artifacts_);
    server_ = builder.BuildAndStart();
    channel_ = server_->InProcessChannel({});
  }
  ~Blobs() override { server_->Shutdown(); }

  FakeArtifacts artifacts_;
  std::unique_ptr<grpc::Server> server_;
  std::shared_ptr<grpc::Channel> channel_;
};

TEST_F(Blobs, AreUploadedInChunksAndComeBackEqual) {
  std::string bytes(3'000'001, 'x');
  bytes[1'500'000] = 'y';
  const absl::StatusOr<std::string> digest =
      UploadBlob(channel_, bytes, Fast());
  ASSERT_TRUE(digest.ok()) << digest.status();
  EXPECT_EQ(*digest, Sha256Hex(bytes));
  EXPECT_TRUE(artifacts_.blobs[*digest] == bytes);
  artifacts_.blobs[*digest].resize(1000);
  artifacts_.blobs[Sha256Hex(artifacts_.blobs[*digest])] =
      artifacts_.blobs[*digest];
  const std::string small = Sha256Hex(artifacts_.blobs[*digest]);
  EXPECT_EQ(*DownloadBlob(channel_, small, Fast()), artifacts_.blobs[small]);
}

TEST_F(Blobs, ABrokenUploadGoesOnWhereItStopped) {
  artifacts_.breaking_writes = 2;
  const std::string bytes(2'500'000, 'x');
  ASSERT_TRUE(UploadBlob(channel_, bytes, Fast()).ok());
  EXPECT_THAT(artifacts_.write_offsets,
              ::testing::ElementsAre(0, 1 << 20, 2 << 20));
  EXPECT_TRUE(artifacts_.blobs[Sha256Hex(bytes)] == bytes);
}

TEST_F(Blobs, AnUploadStartsOverWhenWhatArrivedIsDamaged) {
  artifacts_.partial = "zzz";
  ASSERT_TRUE(UploadBlob(channel_, "abcdef", Fast()).ok());
  EXPECT_THAT(artifacts_.write_offsets, ::testing::ElementsAre(3, 0));
}

TEST_F(Blobs, ADownloadGivenUpGoesOnLater) {
  ASSERT_TRUE(UploadBlob(channel_, "0123456789abcdef", Fast()).ok());
  const std::string digest = Sha256Hex("0123456789abcdef");
  const std::string path = ::testing::TempDir() + "/lathe_blobs_test";
  const auto download_behind = [&](const std::string& arrived) {
    std::ofstream(path) << arrived;
    const int fd = open(path.c_str(), O_RDWR);
    EXPECT_TRUE(DownloadToFile(channel_, digest, fd, Fast()).ok());
    close(fd);
    return ReadFile(path).value();
  };
  // What came before it broke; it breaks again.
  artifacts_.breaking_reads = 1;
  EXPECT_EQ(download_behind("01234"), "0123456789abcdef");
  EXPECT_THAT(artifacts_.offsets, ::testing::ElementsAre(5, 10));
  // More than the blob has cannot be its beginning.
  EXPECT_EQ(download_behind("not this blob's beginning"), "0123456789abcdef");
  // As much as another blob has.
  EXPECT_EQ(download_behind("another"), "0123456789abcdef");
  const absl::StatusOr<std::string> uploaded =
      UploadFile(channel_, path, Fast());
  EXPECT_EQ(*uploaded, digest);
}

TEST_F(Blobs, AFileIsUploadedInChunks) {
  const std::string path = ::testing::TempDir() + "/lathe_blobs_test";
  const std::string bytes(2'500'000, 'x');
  std::ofstream(path) << bytes;
  artifacts_.breaking_writes = 1;
  ASSERT_EQ(*UploadFile(channel_, path, Fast()), Sha256Hex(bytes));
  EXPECT_THAT(artifacts_.write_offsets, ::testing::ElementsAre(0, 1 << 20));
  EXPECT_TRUE(artifacts_.blobs[Sha256Hex(bytes)] == bytes);
  EXPECT_TRUE(absl::IsNotFound(
      UploadFile(channel_, path + "-missing", Fast()).status()));
}

TEST_F(Blobs, EmptyOnesAreUploadedToo) {
  const absl::StatusOr<std::string> digest = UploadBlob(channel_, "", Fast());
  ASSERT_TRUE(digest.ok()) << digest.status();
  EXPECT_EQ(artifacts_.blobs.count(Sha256Hex("")), 1u);
}

TEST_F(Blobs, WhatTheServerHasIsNotSentAgain) {
  ASSERT_TRUE(UploadBlob(channel_, "abc", Fast()).ok());
  ASSERT_TRUE(UploadBlob(channel_, "abc", Fast()).ok());
  EXPECT_EQ(artifacts_.writes, 1);
}

TEST_F(Blobs, UploadIsRepeatedWhileTheServerIsUnavailable) {
  artifacts_.failing_writes = 2;
  ASSERT_TRUE(UploadBlob(channel_, "abc", Fast()).ok());
  EXPECT_EQ(artifacts_.writes, 3);
}

TEST_F(Blobs, ABrokenDownloadGoesOnWhereItStopped) {
  artifacts_.breaking_reads = 2;
  const std::string bytes = "0123456789abcdef";
  artifacts_.blobs[Sha256Hex(bytes)] = bytes;
  EXPECT_EQ(*DownloadBlob(channel_, Sha256Hex(bytes), Fast()), bytes);
  EXPECT_THAT(artifacts_.offsets, ::testing::ElementsAre(0, 5, 10));
}

TEST_F(Blobs, WrongBytesAreFetchedOnceMoreAndThenDataLoss) {
  artifacts_.blobs[Sha256Hex("right")] = "wrong";
  EXPECT_EQ(DownloadBlob(channel_, Sha256Hex("right"), Fast()).status().code(),
            absl::StatusCode::kDataLoss);
  EXPECT_EQ(artifacts_.offsets.size(), 2u);
}

TEST_F(Blobs, MissingOrMisnamedOnesAreErrors) {
  EXPECT_TRUE(absl::IsNotFound(
      DownloadBlob(channel_, Sha256Hex("none"), Fast()).status()));
  EXPECT_TRUE(
      absl::IsInvalidArgument(DownloadBlob(channel_, "x", Fast()).status()));
}

TEST(Retry, OnlyUnavailableIsRepeated) {
  for (const auto& [code, calls] :
       std::vector<std::pair<grpc::StatusCode, int>>{
           {grpc::StatusCode::ABORTED, 1},
           {grpc::StatusCode::DEADLINE_EXCEEDED, 1},
           {grpc::StatusCode::RESOURCE_EXHAUSTED, 1},
           {grpc::StatusCode::UNAVAILABLE, 4}}) {
    int made = 0;
    const absl::Status status =
        CallWithRetry(Fast(), [&, code = code](grpc::ClientContext&) {
          return ++made < 4 ? grpc::Status(code, "no") : grpc::Status::OK;
        });
    EXPECT_EQ(made, calls) << code;
    EXPECT_EQ(status.ok(), code == grpc::StatusCode::UNAVAILABLE);
  }
}

TEST(Retry, EveryAttemptHasADeadline) {
  const auto now = std::chrono::system_clock::now();
  ASSERT_TRUE(CallWithRetry(RetryOptions(), [&](grpc::ClientContext& context) {
                EXPECT_GT(context.deadline(), now + std::chrono::seconds(20));
                EXPECT_LT(context.deadline(), now + std::chrono::seconds(40));
                return grpc::Status::OK;
              }).ok());
}

TEST(OpenChannel, RefusesWhatWouldGiveSecretsAway) {
  Credentials token;
  token.token_file = "/dev/null";
  EXPECT_TRUE(OpenChannel("127.0.0.1:1", token).ok());
  EXPECT_TRUE(
      absl::IsInvalidArgument(OpenChannel("10.0.0.7:1", token).status()));
  Credentials certificate;
  certificate.certificate_file = "/dev/null";
  EXPECT_TRUE(absl::IsInvalidArgument(
      OpenChannel("127.0.0.1:1", certificate).status()));
  certificate.key_file = "/dev/null";
  EXPECT_TRUE(absl::IsInvalidArgument(
      OpenChannel("127.0.0.1:1", certificate).status()));
  Credentials missing;
  missing.ca_file = "/nowhere/ca.pem";
  EXPECT_TRUE(absl::IsNotFound(OpenChannel("127.0.0.1:1", missing).status()));
}

TEST(Backoff, DoublesUpToTheMostWithinItsJitter) {
  RetryOptions options;
  options.first_backoff = absl::Seconds(1);
  options.most_backoff = absl::Seconds(4);
  Backoff backoff(options);
  for (const int seconds : {1, 2, 4, 4}) {
    const absl::Duration wait = backoff.Next();
    EXPECT_GE(wait, absl::Seconds(seconds) * 0.5);
    EXPECT_LE(wait, absl::Seconds(seconds) * 1.5);
  }
}

TEST(Status, CodeMessageAndReasonSurviveTheWire) {
  const absl::Status status =
      WithErrorReason(absl::AbortedError("fence 7 is stale"), "LEASE_FENCED");
  const absl::Status back = FromGrpc(ToGrpc(status));
  EXPECT_EQ(back, status);
  EXPECT_EQ(ErrorReason(back), "LEASE_FENCED");
  EXPECT_EQ(FromGrpc(ToGrpc(absl::OkStatus())), absl::OkStatus());
}

TEST(Status, GarbageDetailsAreDropped) {
  const absl::Status status = FromGrpc(
      grpc::Status(grpc::StatusCode::NOT_FOUND, "gone", "\xff\xff garbage"));
  EXPECT_TRUE(absl::IsNotFound(status));
  EXPECT_EQ(ErrorReason(status), "");
}

}  // namespace
}  // namespace lathe

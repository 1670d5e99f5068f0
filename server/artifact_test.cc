// Blobs, administration, health and reflection through the API.
#include <grpcpp/generic/generic_stub.h>
#include <gtest/gtest.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/digest.h"
#include "server/testing/server_fixture.h"

namespace lathe::testing {
namespace {

using Artifacts = ServerTest;

std::string Bytes(size_t count) {
  std::string bytes(count, '\0');
  for (size_t i = 0; i < count; ++i) {
    bytes[i] = static_cast<char>(i * 2654435761u >> 13);
  }
  return bytes;
}

// All bytes of a blob from `offset` on.
std::string Read(v1::Artifacts::Stub& stub, const std::string& digest,
                 int64_t offset, grpc::Status* status) {
  v1::ReadRequest request;
  request.set_digest(digest);
  request.set_offset(offset);
  const auto context = NewContext();
  const auto reader = stub.Read(context.get(), request);
  std::string bytes;
  v1::ReadResponse chunk;
  while (reader->Read(&chunk)) {
    EXPECT_LE(chunk.data().size(), size_t{1} << 20);
    bytes += chunk.data();
  }
  *status = reader->Finish();
  return bytes;
}

TEST_F(Artifacts, ComeBackAsTheyWereSent) {
  StartServer();
  // One chunk boundary, one byte more, and nothing at all.
  for (const size_t size :
       {size_t{0}, size_t{1}, size_t{1} << 20, (size_t{3} << 20) + 1}) {
    const std::string bytes = Bytes(size);
    const std::string digest = Upload(bytes);
    grpc::Status status;
    EXPECT_EQ(Read(*artifacts_, digest, 0, &status), bytes);
    EXPECT_TRUE(status.ok()) << status.error_message();
    const int64_t half = static_cast<int64_t>(size / 2);
    EXPECT_EQ(Read(*artifacts_, digest, half, &status), bytes.substr(half));
    EXPECT_TRUE(status.ok()) << status.error_message();
  }
}

TEST_F(Artifacts, AreWrittenInManyMessagesAndOnlyOnce) {
  StartServer();
  const std::string bytes = Bytes(100'000);
  for (int round = 0; round < 2; ++round) {
    v1::WriteResponse response;
    const auto context = NewContext();
    const auto writer = artifacts_->Write(context.get(), &response);
    for (size_t begin = 0; begin < bytes.size(); begin += 1000) {
      v1::WriteRequest request;
      if (begin == 0) request.set_digest(Sha256Hex(bytes));
      request.set_data(bytes.substr(begin, 1000));
      if (!writer->Write(request)) break;
    }
    writer->WritesDone();
    EXPECT_TRUE(writer->Finish().ok());
    EXPECT_EQ(response.bytes(), 100'000);
  }
}

TEST_F(Artifacts, WithAnotherDigestThanSaidAreRefused) {
  StartServer();
  v1::WriteResponse response;
  const auto context = NewContext();
  const auto writer = artifacts_->Write(context.get(), &response);
  v1::WriteRequest request;
  request.set_digest(Sha256Hex("other bytes"));
  request.set_data("bytes");
  writer->Write(request);
  writer->WritesDone();
  EXPECT_EQ(ErrorOf(writer->Finish()).reason, "DIGEST_MISMATCH");
  v1::FindMissingRequest find;
  find.add_digests(request.digest());
  v1::FindMissingResponse missing;
  ASSERT_TRUE(artifacts_->FindMissing(NewContext().get(), find, &missing).ok());
  EXPECT_EQ(missing.digests_size(), 1);
}

TEST_F(Artifacts, ThatAreUnknownOrReadPastTheirEndAreErrors) {
  StartServer();
  grpc::Status status;
  Read(*artifacts_, std::string(64, '1'), 0, &status);
  EXPECT_EQ(ErrorOf(status).reason, "BLOB_NOT_FOUND");
  Read(*artifacts_, "../address", 0, &status);
  EXPECT_EQ(ErrorOf(status).reason, "BLOB_NOT_FOUND");
  const std::string digest = Upload("four");
  Read(*artifacts_, digest, 5, &status);
  EXPECT_EQ(ErrorOf(status).reason, "OFFSET_INVALID");
  Read(*artifacts_, digest, -1, &status);
  EXPECT_EQ(ErrorOf(status).reason, "OFFSET_INVALID");
}

TEST_F(Artifacts, ThatWereDamagedOnTheDiskAreDataLoss) {
  StartServer();
  const std::string digest = Upload("the bytes of a blob");
  for (const auto& entry :
       std::filesystem::recursive_directory_iterator(folder_ + "/blobs")) {
    if (entry.path().filename() != digest) continue;
    std::ofstream(entry.path()) << "the bites of a blob";
  }
  grpc::Status status;
  Read(*artifacts_, digest, 0, &status);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::DATA_LOSS);
  EXPECT_EQ(ErrorOf(status).reason, "BLOB_DAMAGED");
}

using Administration = ServerTest;

TEST_F(Administration, ABackupIsAStateThatAServerServes) {
  StartServer();
  const std::string job = CreateJob(Spec(/*trials=*/3));
  ScriptedWorker worker = NewWorker();
  RunToEnd(worker, job);
  const std::string copy = folder_ + "/copy";
  std::filesystem::create_directory(copy);
  v1::BackupRequest request;
  request.set_path(copy + "/lathe.db");
  v1::BackupResponse response;
  ASSERT_TRUE(admin_->Backup(NewContext().get(), request, &response).ok());
  EXPECT_GT(response.bytes(), 0);
  EXPECT_EQ(
      ErrorOf(admin_->Backup(NewContext().get(), request, &response)).reason,
      "FILE_EXISTS");
  request.set_path("relative.db");
  EXPECT_EQ(
      ErrorOf(admin_->Backup(NewContext().get(), request, &response)).reason,
      "FIELD_INVALID");
  StopServer();
  const std::string original = folder_;
  folder_ = copy;
  StartServer();
  EXPECT_EQ(GetJob(job).counts().measured(), 3);
  StopServer();
  folder_ = original;
}

TEST_F(Administration, TheServerTellsItsVersionAndCounts) {
  StartServer();
  CreateJob(Spec(/*trials=*/3));
  ScriptedWorker worker = NewWorker();
  v1::ServerInfo info;
  ASSERT_TRUE(admin_->GetServerInfo(NewContext().get(), {}, &info).ok());
  EXPECT_EQ(info.jobs(), 1);
  EXPECT_EQ(info.workers(), 1);
  EXPECT_FALSE(info.version().empty());
}

TEST_F(Artifacts, ABrokenWriteGoesOnWhereItStopped) {
  StartServer();
  const std::string bytes(300'000, 'x');
  v1::WriteRequest request;
  request.set_digest(Sha256Hex(bytes));
  request.set_data(bytes.substr(0, 100'000));
  {
    const auto context = NewContext();
    v1::WriteResponse response;
    const auto writer = artifacts_->Write(context.get(), &response);
    ASSERT_TRUE(writer->Write(request));
    // The server has it before the stream breaks.
    std::this_thread::sleep_for(std::chrono::milliseconds(200));
    context->TryCancel();
    EXPECT_FALSE(writer->Finish().ok());
  }
  v1::GetWriteStatusRequest ask;
  ask.set_digest(request.digest());
  v1::WriteStatus arrived;
  EXPECT_TRUE(Eventually([&] {
    return artifacts_->GetWriteStatus(NewContext().get(), ask, &arrived).ok() &&
           arrived.committed_bytes() == 100'000;
  }));
  EXPECT_FALSE(arrived.is_complete());
  const auto context = NewContext();
  v1::WriteResponse response;
  const auto writer = artifacts_->Write(context.get(), &response);
  request.set_offset(arrived.committed_bytes());
  request.set_data(bytes.substr(arrived.committed_bytes()));
  writer->Write(request);
  writer->WritesDone();
  const grpc::Status status = writer->Finish();
  EXPECT_TRUE(status.ok()) << status.error_message();
  EXPECT_EQ(response.bytes(), 300'000);
  ASSERT_TRUE(
      artifacts_->GetWriteStatus(NewContext().get(), ask, &arrived).ok());
  EXPECT_TRUE(arrived.is_complete());
}

TEST_F(Administration, ACordonedWorkerGetsNothingUntilItIsLetInAgain) {
  StartServer();
  ScriptedWorker worker = NewWorker();
  v1::CordonWorkerRequest request;
  request.set_name(worker.name());
  request.set_is_cordoned(true);
  google::protobuf::Empty done;
  ASSERT_TRUE(admin_->CordonWorker(NewContext().get(), request, &done).ok());
  CreateJob(Spec(/*trials=*/1));
  EXPECT_TRUE(worker.Lease(1, absl::Milliseconds(50)).empty());
  // It stays so when the worker registers again, and the server restarts.
  StopServer();
  StartServer();
  ScriptedWorker again = NewWorker(worker.session());
  EXPECT_TRUE(again.Lease(1, absl::Milliseconds(50)).empty());
  request.set_is_cordoned(false);
  ASSERT_TRUE(admin_->CordonWorker(NewContext().get(), request, &done).ok());
  EXPECT_EQ(again.Lease().size(), 1u);
  request.set_name("workers/99");
  EXPECT_EQ(
      ErrorOf(admin_->CordonWorker(NewContext().get(), request, &done)).reason,
      "WORKER_NOT_FOUND");
}

TEST_F(Administration, TheCheckFindsNothingWrongAndGarbageStaysForItsTime) {
  StartServer();
  ScriptedWorker worker = NewWorker();
  const std::string job = CreateJob(Spec(/*trials=*/20));
  RunToEnd(worker, job);
  v1::CheckIntegrityRequest check;
  check.set_reads_blobs(true);
  v1::CheckIntegrityResponse found;
  ASSERT_TRUE(admin_->CheckIntegrity(NewContext().get(), check, &found).ok());
  EXPECT_EQ(found.problems_size(), 0) << found.problems(0);
  EXPECT_EQ(found.jobs(), 1);
  EXPECT_EQ(found.trials(), 20);
  Upload("garbage, but new");
  v1::CollectGarbageResponse removed;
  ASSERT_TRUE(admin_->CollectGarbage(NewContext().get(), {}, &removed).ok());
  EXPECT_EQ(removed.blobs(), 0);
}

TEST_F(Administration, AWorkerDrainsAlthoughTheServerRestarts) {
  StartServer();
  ScriptedWorker worker = NewWorker();
  CreateJob(Spec(/*trials=*/3));
  const std::vector<v1::Lease> leases = worker.Lease();
  ASSERT_EQ(leases.size(), 1u);
  v1::DrainWorkerRequest request;
  request.set_name(worker.name());
  google::protobuf::Empty done;
  ASSERT_TRUE(admin_->DrainWorker(NewContext().get(), request, &done).ok());
  StopServer();
  StartServer();
  ScriptedWorker again = NewWorker(worker.session(), {leases[0].fence()});
  EXPECT_TRUE(again.Renew({leases[0].fence()}).is_draining());
  // What it runs it ends.
  EXPECT_TRUE(again.Complete(leases[0]).ok());
  EXPECT_TRUE(again.Lease(1, absl::Milliseconds(50)).empty());
  // Repeating is no error, also before the worker is back.
  StopServer();
  StartServer();
  EXPECT_TRUE(admin_->DrainWorker(NewContext().get(), request, &done).ok());
}

TEST_F(Administration, DrainingAnUnknownWorkerIsAnError) {
  StartServer();
  v1::DrainWorkerRequest request;
  request.set_name("workers/77");
  google::protobuf::Empty empty;
  EXPECT_EQ(
      ErrorOf(admin_->DrainWorker(NewContext().get(), request, &empty)).reason,
      "WORKER_NOT_FOUND");
}

TEST_F(Administration, TheStandardHealthServiceSaysServing) {
  StartServer();
  grpc::GenericStub stub(channel_);
  const grpc::Slice empty;
  const grpc::ByteBuffer message(&empty, 1);
  grpc::ByteBuffer response;
  grpc::CompletionQueue queue;
  const auto context = NewContext();
  const auto call = stub.PrepareUnaryCall(
      context.get(), "/grpc.health.v1.Health/Check", message, &queue);
  call->StartCall();
  grpc::Status status;
  call->Finish(&response, &status, nullptr);
  void* tag = nullptr;
  bool is_ok = false;
  ASSERT_TRUE(queue.Next(&tag, &is_ok));
  ASSERT_TRUE(status.ok()) << status.error_message();
  // HealthCheckResponse{status: SERVING}: field 1, value 1.
  grpc::Slice slice;
  ASSERT_TRUE(response.DumpToSingleSlice(&slice).ok());
  EXPECT_EQ(std::string(slice.begin(), slice.end()), "\x08\x01");
}

}  // namespace
}  // namespace lathe::testing

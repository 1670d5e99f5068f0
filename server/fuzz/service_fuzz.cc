// Sends bytes as the request of any call of any service to a real server, with
// a session and a job that the requests can name.
//
// The first byte chooses the call; the rest is appended to a valid request,
// which for protobuf means that it is merged over its fields, so that the
// fuzzer gets past the first checks. Any answer is fine; a crash, a report of a
// sanitizer or a server that stops answering is not.
#include <grpcpp/create_channel.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/support/byte_buffer.h>

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "base/digest.h"
#include "base/log.h"
#include "proto/artifact.grpc.pb.h"
#include "proto/search.grpc.pb.h"
#include "proto/worker.grpc.pb.h"
#include "server/server.h"
#include "server/testing/simulated_network.h"

namespace lathe {
namespace {

constexpr char kSession[] = "session-0123456789";
// A call that waits (LeaseTrials, WatchJob) is cut off after this.
constexpr std::chrono::milliseconds kPatience(50);
// Every so many calls the server is replaced, so that jobs do not pile up.
constexpr int kCallsPerServer = 3000;

struct Call {
  std::string path;
  std::string valid_request;
};

// Requests that are right, for the calls that need more than a name.
std::vector<std::unique_ptr<google::protobuf::Message>> ValidRequests() {
  std::vector<std::unique_ptr<google::protobuf::Message>> requests;
  const std::string digest = Sha256Hex("blob");
  auto create = std::make_unique<v1::CreateJobRequest>();
  create->mutable_spec()->set_model_digest(digest);
  create->mutable_spec()->mutable_dataset()->set_digest(digest);
  create->mutable_spec()->set_agent("random");
  create->mutable_spec()->set_trials(4);
  create->set_request_id("request");
  requests.push_back(std::move(create));
  auto enlist = std::make_unique<v1::RegisterWorkerRequest>();
  enlist->set_session(kSession);
  *enlist->mutable_capabilities()->mutable_profile() =
      testing::SimulatedProfile();
  requests.push_back(std::move(enlist));
  auto lease = std::make_unique<v1::LeaseTrialsRequest>();
  lease->set_session(kSession);
  lease->set_slots(1);
  requests.push_back(std::move(lease));
  auto complete = std::make_unique<v1::CompleteTrialRequest>();
  complete->set_session(kSession);
  complete->set_fence(1);
  *complete->mutable_outcome() = testing::SimulatedOutcome(v1::Lease());
  requests.push_back(std::move(complete));
  auto renew = std::make_unique<v1::RenewLeasesRequest>();
  renew->set_session(kSession);
  renew->add_fences(1);
  requests.push_back(std::move(renew));
  auto write = std::make_unique<v1::WriteRequest>();
  write->set_digest(digest);
  write->set_data("blob");
  requests.push_back(std::move(write));
  auto read = std::make_unique<v1::ReadRequest>();
  read->set_digest(digest);
  requests.push_back(std::move(read));
  auto list = std::make_unique<v1::ListTrialsRequest>();
  list->set_parent("jobs/1");
  requests.push_back(std::move(list));
  auto create_trial = std::make_unique<v1::CreateTrialRequest>();
  create_trial->set_parent("jobs/1");
  requests.push_back(std::move(create_trial));
  return requests;
}

std::string ValidRequest(const google::protobuf::Descriptor* type) {
  for (const auto& request : ValidRequests()) {
    if (request->GetDescriptor() == type) return request->SerializeAsString();
  }
  // The name of a job: field 1 of what is left.
  v1::GetJobRequest named;
  named.set_name(type->name().find("Trial") == std::string::npos
                     ? "jobs/1"
                     : "jobs/1/trials/0");
  return named.SerializeAsString();
}

std::vector<Call> AllCalls() {
  std::vector<Call> calls;
  for (const auto* file : {v1::GetJobRequest::descriptor()->file(),
                           v1::LeaseTrialsRequest::descriptor()->file(),
                           v1::ServerInfo::descriptor()->file()}) {
    for (int s = 0; s < file->service_count(); ++s) {
      const auto* service = file->service(s);
      for (int m = 0; m < service->method_count(); ++m) {
        const auto* method = service->method(m);
        // Writes a file wherever the request says.
        if (method->name() == "Backup") continue;
        calls.push_back({"/" + service->full_name() + "/" + method->name(),
                         ValidRequest(method->input_type())});
      }
    }
  }
  return calls;
}

class Target {
 public:
  Target() : calls_(AllCalls()) { Start(); }

  void Send(uint8_t which, std::string_view bytes) {
    if (++sent_ % kCallsPerServer == 0) Start();
    const Call& call = calls_[which % calls_.size()];
    const grpc::StatusCode code =
        SendTo(call.path, call.valid_request + std::string(bytes));
    // Refused connections: the server is gone though the process is not.
    if (code == grpc::StatusCode::UNAVAILABLE && !IsAlive()) abort();
  }

 private:
  void Start() {
    server_.reset();
    if (!folder_.empty()) std::filesystem::remove_all(folder_);
    std::string pattern =
        (std::filesystem::temp_directory_path() / "lathe-fuzz-XXXXXX").string();
    folder_ = mkdtemp(pattern.data());
    ServerOptions options;
    options.state_folder = folder_;
    server_ = *Server::Start(options);
    channel_ = grpc::CreateChannel(server_->address(),
                                   grpc::InsecureChannelCredentials());
    for (const char* path :
         {"/lathe.v1.Artifacts/Write", "/lathe.v1.Search/CreateJob",
          "/lathe.v1.Workers/RegisterWorker",
          "/lathe.v1.Workers/LeaseTrials"}) {
      for (const Call& call : calls_) {
        if (call.path == path) SendTo(path, call.valid_request);
      }
    }
  }

  bool IsAlive() {
    return SendTo("/lathe.v1.Admin/GetServerInfo", "") == grpc::StatusCode::OK;
  }

  grpc::StatusCode SendTo(const std::string& path, const std::string& bytes) {
    grpc::TemplatedGenericStub<grpc::ByteBuffer, grpc::ByteBuffer> stub(
        channel_);
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + kPatience);
    const grpc::Slice slice(bytes);
    grpc::CompletionQueue queue;
    const auto call = stub.PrepareUnaryCall(
        &context, path, grpc::ByteBuffer(&slice, 1), &queue);
    call->StartCall();
    grpc::ByteBuffer answer;
    grpc::Status status;
    call->Finish(&answer, &status, nullptr);
    void* tag = nullptr;
    bool is_ok = false;
    queue.Next(&tag, &is_ok);
    return status.error_code();
  }

  const std::vector<Call> calls_;
  std::string folder_;
  std::unique_ptr<Server> server_;
  std::shared_ptr<grpc::Channel> channel_;
  int64_t sent_ = 0;
};

}  // namespace
}  // namespace lathe

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static auto* const target = [] {
    lathe::SetLogLevel(lathe::LogLevel::kOff);
    setenv("GRPC_VERBOSITY", "NONE", 0);
    return new lathe::Target;
  }();
  if (size == 0) return 0;
  target->Send(data[0], {reinterpret_cast<const char*>(data) + 1, size - 1});
  return 0;
}

#include <grpcpp/security/server_credentials.h>
#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>
#include <grpcpp/support/server_callback.h>
#include <unistd.h>

#include <memory>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "evaluator/testing/simulated_evaluator.h"
#include "experiments/load/bare.h"
#include "proto/plan.h"
#include "proto/worker.grpc.pb.h"

namespace lathe {
namespace {

class EchoService final : public v1::Workers::CallbackService {
 public:
  // `lease` is every answer to LeaseTrials.
  explicit EchoService(v1::Lease lease) : lease_(std::move(lease)) {}

 private:
  static grpc::ServerUnaryReactor* Answer(
      grpc::CallbackServerContext* context) {
    grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
    reactor->Finish(grpc::Status::OK);
    return reactor;
  }

  grpc::ServerUnaryReactor* RegisterWorker(
      grpc::CallbackServerContext* context, const v1::RegisterWorkerRequest*,
      v1::RegisterWorkerResponse*) override {
    return Answer(context);
  }
  grpc::ServerUnaryReactor* LeaseTrials(
      grpc::CallbackServerContext* context, const v1::LeaseTrialsRequest*,
      v1::LeaseTrialsResponse* response) override {
    *response->add_leases() = lease_;
    return Answer(context);
  }
  grpc::ServerUnaryReactor* CompleteTrial(grpc::CallbackServerContext* context,
                                          const v1::CompleteTrialRequest*,
                                          v1::CompleteTrialResponse*) override {
    return Answer(context);
  }

  const v1::Lease lease_;
};

// As large as a real one.
v1::Lease MakeLease() {
  v1::Lease lease;
  lease.set_fence(1);
  lease.set_trial("jobs/1/trials/1");
  lease.set_trial_number(1);
  lease.mutable_spec()->set_model_digest(std::string(64, '0'));
  lease.mutable_spec()->mutable_dataset()->set_digest(std::string(64, '0'));
  *lease.mutable_plan() =
      BaselinePlan(MakeSimulatedSpace(SimulatedOptions().layers));
  return lease;
}

}  // namespace

absl::Status ServeBareEcho(const std::string& address) {
  EchoService service(MakeLease());
  grpc::ServerBuilder builder;
  builder.AddListeningPort(address, grpc::InsecureServerCredentials());
  builder.RegisterService(&service);
  const std::unique_ptr<grpc::Server> server = builder.BuildAndStart();
  if (server == nullptr) {
    return absl::UnavailableError(absl::StrCat("cannot listen on ", address));
  }
  char byte = 0;
  while (read(STDIN_FILENO, &byte, 1) > 0) {
  }
  server->Shutdown();
  return absl::OkStatus();
}

}  // namespace lathe

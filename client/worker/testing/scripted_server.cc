#include "client/worker/testing/scripted_server.h"

#include <grpcpp/security/server_credentials.h>
#include <grpcpp/server_builder.h>

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "client/status.h"

namespace lathe {

ScriptedServer::ScriptedServer(Script script) : script_(std::move(script)) {
  int port = 0;
  grpc::ServerBuilder builder;
  builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(),
                           &port);
  builder.RegisterService(static_cast<v1::Workers::Service*>(this));
  builder.RegisterService(static_cast<v1::Artifacts::Service*>(this));
  server_ = builder.BuildAndStart();
  address_ = absl::StrCat("127.0.0.1:", port);
}

ScriptedServer::~ScriptedServer() { server_->Shutdown(); }

std::vector<std::string> ScriptedServer::calls() const {
  absl::MutexLock lock(&mu_);
  return calls_;
}

std::optional<double> ScriptedServer::remaining_seconds() const {
  absl::MutexLock lock(&mu_);
  return remaining_seconds_;
}

void ScriptedServer::Record(std::string call) {
  absl::MutexLock lock(&mu_);
  calls_.push_back(std::move(call));
}

grpc::Status ScriptedServer::RegisterWorker(
    grpc::ServerContext*, const v1::RegisterWorkerRequest* request,
    v1::RegisterWorkerResponse* response) {
  Record(
      absl::StrCat("register [", absl::StrJoin(request->fences(), " "), "]"));
  absl::MutexLock lock(&mu_);
  response->set_name("workers/1");
  response->set_renew_interval_seconds(0.02);
  response->set_give_up_seconds(script_.give_up_seconds);
  return grpc::Status::OK;
}

grpc::Status ScriptedServer::LeaseTrials(grpc::ServerContext*,
                                         const v1::LeaseTrialsRequest* request,
                                         v1::LeaseTrialsResponse* response) {
  absl::MutexLock lock(&mu_);
  if (leases_given_ == 0 && request->has_remaining_lifetime_seconds()) {
    remaining_seconds_ = request->remaining_lifetime_seconds();
  }
  if (leases_given_ < script_.leases.size()) {
    *response->add_leases() = script_.leases[leases_given_++];
  }
  return grpc::Status::OK;
}

grpc::Status ScriptedServer::RenewLeases(grpc::ServerContext*,
                                         const v1::RenewLeasesRequest* request,
                                         v1::RenewLeasesResponse* response) {
  absl::MutexLock lock(&mu_);
  if (request->fences().empty()) {
    response->set_is_draining(leases_given_ == script_.leases.size());
    return grpc::Status::OK;
  }
  script_.at_renewal();
  response->add_verdicts(script_.verdict);
  return ToGrpc(script_.renewal);
}

grpc::Status ScriptedServer::CompleteTrial(
    grpc::ServerContext*, const v1::CompleteTrialRequest* request,
    v1::CompleteTrialResponse* response) {
  Record(absl::StrCat("complete ", request->fence(), " ",
                      v1::OutcomeKind_Name(request->outcome().kind()),
                      request->outcome().has_baseline() ? " baseline" : "",
                      request->artifact_digest().empty() ? "" : " with ",
                      request->artifact_digest()));
  absl::MutexLock lock(&mu_);
  response->set_upload_artifact(script_.asks_for_artifact &&
                                request->offers_artifact());
  if (script_.completions.empty()) return grpc::Status::OK;
  const absl::Status status = script_.completions.front();
  script_.completions.pop_front();
  return ToGrpc(status);
}

grpc::Status ScriptedServer::ReleaseLeases(
    grpc::ServerContext*, const v1::ReleaseLeasesRequest* request,
    google::protobuf::Empty*) {
  Record(
      absl::StrCat("release ", absl::StrJoin(request->fences(), " "), " ",
                   v1::ReleaseLeasesRequest::Reason_Name(request->reason())));
  return grpc::Status::OK;
}

grpc::Status ScriptedServer::GetWriteStatus(
    grpc::ServerContext*, const v1::GetWriteStatusRequest* request,
    v1::WriteStatus* response) {
  Record(absl::StrCat("find ", request->digest()));
  absl::MutexLock lock(&mu_);
  response->set_is_complete(true);
  if (script_.uploads.empty()) return grpc::Status::OK;
  const absl::Status status = script_.uploads.front();
  script_.uploads.pop_front();
  return ToGrpc(status);
}

}  // namespace lathe

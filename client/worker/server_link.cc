#include "client/worker/server_link.h"

#include <algorithm>
#include <random>
#include <utility>

#include "absl/strings/str_format.h"
#include "base/log.h"
#include "base/status.h"
#include "client/retry.h"
#include "client/status.h"

namespace lathe {
namespace {

constexpr absl::Duration kCallTimeout = absl::Seconds(15);
// Shorter than the interval of renewals, so that a lost answer costs one.
constexpr absl::Duration kRenewTimeout = absl::Seconds(4);
// A worker that ends does not wait longer than this for the server.
constexpr absl::Duration kReleaseTimeout = absl::Seconds(2);
constexpr absl::Duration kLeaseWait = absl::Seconds(20);

}  // namespace

std::string NewSession() {
  std::random_device device;
  std::string session;
  for (int i = 0; i < 4; ++i) absl::StrAppendFormat(&session, "%08x", device());
  return session;
}

ServerLink::ServerLink(std::shared_ptr<grpc::Channel> channel,
                       std::shared_ptr<LeaseIdentity> identity,
                       v1::Capabilities capabilities)
    : channel_(std::move(channel)),
      stub_(v1::Workers::NewStub(channel_)),
      identity_(std::move(identity)),
      capabilities_(std::move(capabilities)) {}

absl::Status ServerLink::Register() {
  v1::RegisterWorkerRequest request;
  request.set_session(identity_->session());
  *request.mutable_capabilities() = capabilities_;
  {
    absl::MutexLock lock(&mu_);
    if (fence_.has_value()) request.add_fences(*fence_);
  }
  grpc::ClientContext context;
  SetTimeout(context, kCallTimeout);
  v1::RegisterWorkerResponse response;
  LATHE_RETURN_IF_ERROR(
      FromGrpc(stub_->RegisterWorker(&context, request, &response)));
  LATHE_LOG(kInfo) << "registered as " << response.name();
  absl::MutexLock lock(&mu_);
  // A server that does not say leaves the defaults.
  if (response.renew_interval_seconds() > 0) {
    renew_times_.interval = absl::Seconds(response.renew_interval_seconds());
  }
  if (response.give_up_seconds() > 0) {
    renew_times_.give_up = absl::Seconds(response.give_up_seconds());
  }
  return absl::OkStatus();
}

absl::StatusOr<std::optional<v1::Lease>> ServerLink::WaitForLease(
    WorkerControl* control) {
  v1::LeaseTrialsRequest request;
  request.set_session(identity_->session());
  request.set_slots(1);
  request.set_wait_seconds(absl::ToDoubleSeconds(kLeaseWait));
  const std::optional<absl::Duration> remaining = control->RemainingLifetime();
  if (remaining.has_value()) {
    request.set_remaining_lifetime_seconds(absl::ToDoubleSeconds(*remaining));
  }
  grpc::ClientContext context;
  SetTimeout(context, kLeaseWait + kCallTimeout);
  v1::LeaseTrialsResponse response;
  control->SetWaitingCall(&context);
  const absl::Status status =
      FromGrpc(stub_->LeaseTrials(&context, request, &response));
  control->SetWaitingCall(nullptr);
  if (absl::IsCancelled(status) && control->is_draining()) return std::nullopt;
  LATHE_RETURN_IF_ERROR(status);
  if (response.leases().empty()) return std::nullopt;
  absl::MutexLock lock(&mu_);
  fence_ = response.leases(0).fence();
  stage_ = "fetching";
  leased_at_ = std::chrono::steady_clock::now();
  identity_->SetFence(*fence_);
  return response.leases(0);
}

void ServerLink::Drop() {
  absl::MutexLock lock(&mu_);
  fence_.reset();
}

void ServerLink::SetStage(absl::string_view stage) {
  absl::MutexLock lock(&mu_);
  stage_ = std::string(stage);
}

absl::StatusOr<v1::RenewLeasesResponse> ServerLink::Renew() {
  v1::RenewLeasesRequest request;
  request.set_session(identity_->session());
  {
    absl::MutexLock lock(&mu_);
    if (fence_.has_value()) {
      request.add_fences(*fence_);
      v1::TrialProgress& progress = *request.add_progress();
      progress.set_stage(stage_);
      progress.set_seconds(absl::ToDoubleSeconds(
          absl::FromChrono(std::chrono::steady_clock::now() - leased_at_)));
    }
  }
  grpc::ClientContext context;
  SetTimeout(context, kRenewTimeout);
  v1::RenewLeasesResponse response;
  LATHE_RETURN_IF_ERROR(
      FromGrpc(stub_->RenewLeases(&context, request, &response)));
  return response;
}

absl::StatusOr<v1::CompleteTrialResponse> ServerLink::Complete(
    v1::CompleteTrialRequest request) {
  request.set_session(identity_->session());
  grpc::ClientContext context;
  SetTimeout(context, kCallTimeout);
  v1::CompleteTrialResponse response;
  LATHE_RETURN_IF_ERROR(
      FromGrpc(stub_->CompleteTrial(&context, request, &response)));
  return response;
}

absl::Status ServerLink::Release(int64_t fence,
                                 v1::ReleaseLeasesRequest::Reason reason) {
  v1::ReleaseLeasesRequest request;
  request.set_session(identity_->session());
  request.add_fences(fence);
  request.set_reason(reason);
  grpc::ClientContext context;
  SetTimeout(context, kReleaseTimeout);
  google::protobuf::Empty response;
  return FromGrpc(stub_->ReleaseLeases(&context, request, &response));
}

RenewTimes ServerLink::renew_times() const {
  absl::MutexLock lock(&mu_);
  return renew_times_;
}

}  // namespace lathe

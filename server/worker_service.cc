#include "server/worker_service.h"

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/log.h"
#include "base/status.h"
#include "server/call_gate.h"
#include "server/errors.h"
#include "server/roles.h"
#include "server/steady.h"
#include "server/unary_call.h"

namespace lathe {
namespace {

using grpc::CallbackServerContext;
using grpc::ServerUnaryReactor;

constexpr int kMostSlots = 64;
// Of one call; far above what one worker may hold.
constexpr int kMostFences = 10'000;
constexpr double kMostWaitSeconds = 30;
constexpr size_t kMostPlacementBytes = 200;
// Far above what a machine is called. They stand in every list of workers.
constexpr size_t kMostCapabilityBytes = 4096;
constexpr size_t kMostStageBytes = 40;

void RequireSession(const std::string& session, FieldChecks& checks) {
  checks.Require(session.size() >= 16 && session.size() <= 64, "session",
                 absl::StrCat(session.size(), " characters, not in [16, 64]"));
}

void RequireFences(int fences, FieldChecks& checks) {
  checks.Require(fences <= kMostFences, "fences",
                 absl::StrCat(fences, " fences, more than ", kMostFences));
}

absl::Status CheckRegister(const v1::RegisterWorkerRequest& request) {
  FieldChecks checks;
  RequireSession(request.session(), checks);
  RequireFences(request.fences_size(), checks);
  const size_t bytes = request.capabilities().ByteSizeLong();
  checks.Require(bytes <= kMostCapabilityBytes, "capabilities",
                 absl::StrCat(bytes, " bytes, above ", kMostCapabilityBytes));
  const v1::HardwareProfile& profile = request.capabilities().profile();
  checks.Require(!profile.cpu().empty() && !profile.isa().empty(),
                 "capabilities.profile", "cpu or isa is empty");
  const size_t placement_bytes = request.capabilities().placement().size();
  checks.Require(
      placement_bytes <= kMostPlacementBytes, "capabilities.placement",
      absl::StrCat(placement_bytes, " bytes, above ", kMostPlacementBytes));
  return checks.ToStatus();
}

absl::Status CheckLease(const v1::LeaseTrialsRequest& request) {
  FieldChecks checks;
  RequireSession(request.session(), checks);
  checks.Require(
      request.slots() >= 1 && request.slots() <= kMostSlots, "slots",
      absl::StrCat(request.slots(), ", not in [1, ", kMostSlots, "]"));
  checks.Require(
      request.wait_seconds() >= 0 && request.wait_seconds() <= kMostWaitSeconds,
      "wait_seconds",
      absl::StrCat(request.wait_seconds(), ", not in [0, ", kMostWaitSeconds,
                   "]"));
  checks.Require(!request.has_remaining_lifetime_seconds() ||
                     request.remaining_lifetime_seconds() >= 0,
                 "remaining_lifetime_seconds",
                 absl::StrCat(request.remaining_lifetime_seconds(),
                              ", below 0 or not a number"));
  return checks.ToStatus();
}

// Without a session a call would be nobody's.
absl::Status CheckComplete(const v1::CompleteTrialRequest& request) {
  FieldChecks checks;
  RequireSession(request.session(), checks);
  return checks.ToStatus();
}

absl::Status CheckRelease(const v1::ReleaseLeasesRequest& request) {
  FieldChecks checks;
  RequireSession(request.session(), checks);
  RequireFences(request.fences_size(), checks);
  return checks.ToStatus();
}

absl::Status CheckRenew(const v1::RenewLeasesRequest& request) {
  FieldChecks checks;
  RequireSession(request.session(), checks);
  RequireFences(request.fences_size(), checks);
  checks.Require(
      request.progress_size() == 0 ||
          request.progress_size() == request.fences_size(),
      "progress",
      absl::StrCat(request.progress_size(), " entries for ",
                   request.fences_size(), " fences, not none or one for each"));
  for (const v1::TrialProgress& progress : request.progress()) {
    checks.Require(progress.stage().size() <= kMostStageBytes, "progress.stage",
                   absl::StrCat(progress.stage().size(), " bytes, above ",
                                kMostStageBytes));
    checks.Require(
        progress.seconds() >= 0, "progress.seconds",
        absl::StrCat(progress.seconds(), ", below 0 or not a number"));
  }
  return checks.ToStatus();
}

// A call that a desk answers. Deletes itself when the call is over.
class DeskReactor : public grpc::ServerUnaryReactor {
 public:
  // `gate` must outlive the call.
  explicit DeskReactor(CallGate* gate)
      : open_call_(&gate->pool().open_calls()) {}

  void OnDone() override { delete this; }

 private:
  const OpenCall open_call_;
};

// A LeaseTrials call that may wait long; says when its caller leaves.
class LeaseReactor : public DeskReactor {
 public:
  // Both must outlive the call.
  LeaseReactor(LeaseDesk* desk, CallGate* gate)
      : DeskReactor(gate), desk_(*desk) {}

  void OnCancel() override { desk_.NotifyGone(); }

 private:
  LeaseDesk& desk_;
};

absl::string_view ReasonName(v1::ReleaseLeasesRequest::Reason reason) {
  switch (reason) {
    case v1::ReleaseLeasesRequest::PREEMPTED:
      return "released: preempted";
    case v1::ReleaseLeasesRequest::DRAIN:
      return "released: draining";
    case v1::ReleaseLeasesRequest::TIME_LIMIT:
      return "released: time limit";
    default:
      return "released";
  }
}

}  // namespace

ServerUnaryReactor* WorkerService::RegisterWorker(
    CallbackServerContext* context, const v1::RegisterWorkerRequest* request,
    v1::RegisterWorkerResponse* response) {
  return RunUnary(context, *parts_.gate, "Workers.RegisterWorker", request,
                  [this, request, response](const Caller& caller) {
                    return Answer(Register(*request, caller), response);
                  });
}

absl::StatusOr<v1::RegisterWorkerResponse> WorkerService::Register(
    const v1::RegisterWorkerRequest& request, const Caller& caller) {
  LATHE_RETURN_IF_ERROR(CheckRegister(request));
  LATHE_RETURN_IF_ERROR(
      parts_.workers->CheckOwner(request.session(), caller.name));
  LATHE_ASSIGN_OR_RETURN(
      const WorkerRecord record,
      parts_.store->RecordWorker(request.session(), request.capabilities(),
                                 absl::Now()));
  const absl::Time now = SteadyNow();
  parts_.workers->Register(request.session(), record, request.capabilities(),
                           now, caller.name);
  LATHE_RETURN_IF_ERROR(ReconcileLeases(request));
  LATHE_LOG(kInfo) << record.name << " registered from "
                   << absl::CHexEscape(
                          request.capabilities().host().substr(0, 80))
                   << " pid " << request.capabilities().pid();
  parts_.signals->workers_changed();
  v1::RegisterWorkerResponse response;
  response.set_name(record.name);
  response.set_renew_interval_seconds(
      absl::ToDoubleSeconds(parts_.times.renew_interval));
  response.set_give_up_seconds(absl::ToDoubleSeconds(parts_.times.give_up));
  return response;
}

absl::Status WorkerService::ReconcileLeases(
    const v1::RegisterWorkerRequest& request) {
  const absl::Time expires_at = SteadyNow() + parts_.times.ttl;
  const std::set<int64_t> known(request.fences().begin(),
                                request.fences().end());
  std::vector<int64_t> unknown;
  for (const int64_t fence : parts_.leases->HeldBy(request.session())) {
    if (known.count(fence) == 0) {
      unknown.push_back(fence);
    } else {
      parts_.leases->Renew(fence, request.session(), expires_at);
    }
  }
  if (unknown.empty()) return absl::OkStatus();
  return parts_.lease_desk->Release(unknown, "its worker never heard of it");
}

ServerUnaryReactor* WorkerService::LeaseTrials(
    CallbackServerContext* context, const v1::LeaseTrialsRequest* request,
    v1::LeaseTrialsResponse* response) {
  // Until Finish the reactor, the context and the messages live.
  auto* reactor = new LeaseReactor(parts_.lease_desk, parts_.gate);
  const absl::Status check = CheckLeaseCall(*context, *request);
  if (!check.ok()) {
    reactor->Finish(ToGrpc(check));
    return reactor;
  }
  LeaseCall call;
  call.request = *request;
  call.deadline = SteadyNow() + absl::Seconds(request->wait_seconds());
  call.is_gone = [context] { return context->IsCancelled(); };
  call.answer = [reactor,
                 response](absl::StatusOr<v1::LeaseTrialsResponse> answer) {
    reactor->Finish(ToGrpc(Answer(std::move(answer), response)));
  };
  parts_.lease_desk->Lease(std::move(call));
  return reactor;
}

absl::Status WorkerService::CheckLeaseCall(
    const CallbackServerContext& context,
    const v1::LeaseTrialsRequest& request) {
  return parts_.gate->Serve(context, "Workers.LeaseTrials", request,
                            [&](const Caller& caller) -> absl::Status {
                              LATHE_RETURN_IF_ERROR(CheckLease(request));
                              return parts_.workers->CheckOwner(
                                  request.session(), caller.name);
                            });
}

ServerUnaryReactor* WorkerService::RenewLeases(
    CallbackServerContext* context, const v1::RenewLeasesRequest* request,
    v1::RenewLeasesResponse* response) {
  // Waits for nothing, so that a full disk or a full pool ends no lease.
  const absl::Status status =
      parts_.gate->Serve(*context, "Workers.RenewLeases", *request,
                         [&](const Caller& caller) -> absl::Status {
                           LATHE_RETURN_IF_ERROR(CheckRenew(*request));
                           LATHE_RETURN_IF_ERROR(parts_.workers->CheckOwner(
                               request->session(), caller.name));
                           *response = Renew(*request);
                           return absl::OkStatus();
                         });
  ServerUnaryReactor* reactor = context->DefaultReactor();
  reactor->Finish(ToGrpc(status));
  return reactor;
}

v1::RenewLeasesResponse WorkerService::Renew(
    const v1::RenewLeasesRequest& request) {
  const absl::Time now = SteadyNow();
  // Leases outlive the registry: a worker may renew before it registers again.
  parts_.workers->NoteHeard(request.session(), now);
  v1::RenewLeasesResponse response;
  for (const int64_t fence : request.fences()) {
    response.add_verdicts(
        parts_.leases->Renew(fence, request.session(), now + parts_.times.ttl));
  }
  for (int i = 0; i < request.progress_size(); ++i) {
    parts_.leases->NoteProgress(request.fences(i), request.session(),
                                request.progress(i));
  }
  response.set_is_draining(parts_.workers->IsDraining(request.session()));
  return response;
}

ServerUnaryReactor* WorkerService::CompleteTrial(
    CallbackServerContext* context, const v1::CompleteTrialRequest* request,
    v1::CompleteTrialResponse* response) {
  auto* reactor = new DeskReactor(parts_.gate);
  const absl::Status check = parts_.gate->Serve(
      *context, "Workers.CompleteTrial", *request,
      [&](const Caller& caller) -> absl::Status {
        LATHE_RETURN_IF_ERROR(CheckComplete(*request));
        return parts_.workers->CheckOwner(request->session(), caller.name);
      });
  if (!check.ok()) {
    reactor->Finish(ToGrpc(check));
    return reactor;
  }
  parts_.workers->NoteHeard(request->session(), SteadyNow());
  CompletionCall call;
  call.request = request;
  call.answer = [reactor,
                 response](absl::StatusOr<v1::CompleteTrialResponse> answer) {
    reactor->Finish(ToGrpc(Answer(std::move(answer), response)));
  };
  parts_.completion_desk->Complete(std::move(call));
  return reactor;
}

ServerUnaryReactor* WorkerService::ReleaseLeases(
    CallbackServerContext* context, const v1::ReleaseLeasesRequest* request,
    google::protobuf::Empty*) {
  return RunUnary(context, *parts_.gate, "Workers.ReleaseLeases", request,
                  [this, request](const Caller& caller) -> absl::Status {
                    LATHE_RETURN_IF_ERROR(CheckRelease(*request));
                    LATHE_RETURN_IF_ERROR(parts_.workers->CheckOwner(
                        request->session(), caller.name));
                    return Release(*request);
                  });
}

absl::Status WorkerService::Release(const v1::ReleaseLeasesRequest& request) {
  std::vector<int64_t> fences;
  for (const int64_t fence : request.fences()) {
    const std::optional<HeldLease> lease = parts_.leases->Find(fence);
    if (lease.has_value() && lease->session == request.session()) {
      fences.push_back(fence);
    }
  }
  if (fences.empty()) return absl::OkStatus();
  return parts_.lease_desk->Release(fences, ReasonName(request.reason()));
}

}  // namespace lathe

#include "server/call_gate.h"

#include <grpcpp/server_context.h>

#include <optional>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "absl/time/clock.h"
#include "base/status.h"
#include "server/errors.h"
#include "server/steady.h"
#include "server/tls.h"

namespace lathe {
namespace {

// What a request is about: the first of these fields that it has.
constexpr const char* kResourceFields[] = {"name", "parent", "request_id",
                                           "path"};

std::string ResourceOf(const google::protobuf::Message& request) {
  const auto* const type = request.GetDescriptor();
  for (const char* name : kResourceFields) {
    const auto* const field = type->FindFieldByName(name);
    if (field == nullptr || field->is_repeated() ||
        field->type() != google::protobuf::FieldDescriptor::TYPE_STRING) {
      continue;
    }
    return request.GetReflection()->GetString(request, field);
  }
  return "";
}

bool NeedsCertificate(Role role) {
  return role == Role::kWorker || role == Role::kAdmin;
}

}  // namespace

std::string MetadataOf(const grpc::CallbackServerContext& context,
                       absl::string_view key) {
  const auto& metadata = context.client_metadata();
  const auto found = metadata.find(grpc::string_ref(key.data(), key.size()));
  if (found == metadata.end()) return "";
  return std::string(found->second.data(), found->second.size());
}

CallGate::CallGate(AccessRules rules, WorkPool* pool)
    : rules_(std::move(rules)), pool_(*pool) {}

absl::StatusOr<Caller> CallGate::Identify(
    const grpc::CallbackServerContext& context) {
  Caller caller;
  caller.peer = context.peer();
  if (is_open()) {
    caller.role = Role::kAdmin;
    return caller;
  }
  const std::optional<CertificateHolder> holder =
      rules_.has_client_ca ? HolderOf(*context.auth_context()) : std::nullopt;
  const std::string header = MetadataOf(context, "authorization");
  absl::string_view token = header;
  if (rules_.tokens != nullptr && absl::ConsumePrefix(&token, "Bearer ")) {
    LATHE_ASSIGN_OR_RETURN(
        const TokenEntry entry,
        rules_.tokens->Find(token, absl::Now(), SteadyNow()));
    caller.name = entry.name;
    caller.role = entry.role;
  } else if (holder.has_value() && holder->role.has_value()) {
    caller.name = holder->name;
    caller.role = *holder->role;
  } else {
    return MakeError(
        absl::StatusCode::kUnauthenticated, "CREDENTIALS_MISSING",
        rules_.tokens == nullptr
            ? "the server asks for a client certificate whose OU names a role"
            : "the server asks for a token (--token-file)");
  }
  if (rules_.has_client_ca && !holder.has_value() &&
      NeedsCertificate(caller.role)) {
    return MakeError(
        absl::StatusCode::kPermissionDenied, "CERTIFICATE_MISSING",
        absl::StrCat("a ", RoleName(caller.role),
                     " needs a client certificate besides the token "
                     "(--tls-cert, --tls-key)"));
  }
  return caller;
}

absl::StatusOr<Caller> CallGate::Admit(
    const grpc::CallbackServerContext& context, absl::string_view method) {
  absl::StatusOr<Caller> caller = Identify(context);
  if (caller.ok() && !MayCall(caller->role, method)) {
    const absl::Status denied = MakeError(
        absl::StatusCode::kPermissionDenied, "ROLE_DENIED",
        absl::StrCat("a ", RoleName(caller->role), " may not call ", method));
    Note(*caller, method, "", denied);
    return denied;
  }
  if (!caller.ok()) {
    Caller stranger;
    stranger.peer = context.peer();
    Note(stranger, method, "", caller.status());
  }
  return caller;
}

absl::Status CallGate::Serve(
    const grpc::CallbackServerContext& context, absl::string_view method,
    const google::protobuf::Message& request,
    absl::FunctionRef<absl::Status(const Caller&)> work) {
  LATHE_ASSIGN_OR_RETURN(const Caller caller, Admit(context, method));
  absl::Status status = work(caller);
  if (rules_.audit != nullptr) {
    Note(caller, method, ResourceOf(request), status);
  }
  return status;
}

void CallGate::Note(const Caller& caller, absl::string_view method,
                    absl::string_view resource, const absl::Status& status) {
  if (rules_.audit == nullptr) return;
  const bool is_refused =
      absl::IsUnauthenticated(status) || absl::IsPermissionDenied(status);
  if (!is_refused && !IsAudited(method)) return;
  rules_.audit->Write({caller, method, std::string(resource), status},
                      absl::Now());
}

bool CallGate::BeginStream() {
  if (++streams_ <= rules_.most_streams) return true;
  --streams_;
  return false;
}

absl::Status StreamPlace::status() const {
  if (has_place_) return absl::OkStatus();
  return MakeError(absl::StatusCode::kUnavailable, "TOO_MANY_STREAMS",
                   "as many streams are open as the server allows; repeat "
                   "later");
}

}  // namespace lathe

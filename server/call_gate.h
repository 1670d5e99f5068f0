// Every call comes in here: who calls, whether they may, and what is noted.
#ifndef LATHE_SERVER_CALL_GATE_H_
#define LATHE_SERVER_CALL_GATE_H_

#include <grpcpp/support/server_callback.h>

#include <atomic>
#include <memory>
#include <string>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "google/protobuf/message.h"
#include "server/audit_log.h"
#include "server/roles.h"
#include "server/token_table.h"
#include "server/work_pool.h"

namespace lathe {

// How callers are told apart. With neither, everybody is an administrator:
// only for loopback, or where --insecure says so.
struct AccessRules {
  std::unique_ptr<TokenTable> tokens;
  // Clients' certificates are verified: one whose OU names a role needs no
  // token, and workers and administrators need one in any case.
  bool has_client_ca = false;
  // Null: nothing is noted.
  std::unique_ptr<AuditLog> audit;
  // Streams (watches, blobs) open at once.
  int most_streams = 2000;
};

// Thread-safe.
class CallGate {
 public:
  // `pool` must outlive this.
  CallGate(AccessRules rules, WorkPool* pool);

  // Errors:
  //   Unauthenticated (CREDENTIALS_MISSING, TOKEN_UNKNOWN, TOKEN_EXPIRED).
  //   PermissionDenied (ROLE_DENIED) - the role may not call `method`;
  //     (CERTIFICATE_MISSING) - it needs a certificate besides the token.
  absl::StatusOr<Caller> Admit(const grpc::CallbackServerContext& context,
                               absl::string_view method);

  // Admits the caller, does the work, and notes the call when it is one to be
  // noted.
  absl::Status Serve(const grpc::CallbackServerContext& context,
                     absl::string_view method,
                     const google::protobuf::Message& request,
                     absl::FunctionRef<absl::Status(const Caller&)> work);

  // Notes a call that was not served through Serve, if it is one to be noted.
  void Note(const Caller& caller, absl::string_view method,
            absl::string_view resource, const absl::Status& status);

  // One stream more; false when too many are open. Every true needs an
  // EndStream.
  bool BeginStream();
  void EndStream() { --streams_; }

  WorkPool& pool() { return pool_; }

 private:
  bool is_open() const {
    return rules_.tokens == nullptr && !rules_.has_client_ca;
  }
  absl::StatusOr<Caller> Identify(const grpc::CallbackServerContext& context);

  const AccessRules rules_;
  WorkPool& pool_;
  std::atomic<int> streams_{0};
};

// A stream's place among those that may be open at once.
class StreamPlace {
 public:
  // `gate` must outlive this.
  explicit StreamPlace(CallGate* gate)
      : gate_(*gate), has_place_(gate->BeginStream()) {}
  ~StreamPlace() {
    if (has_place_) gate_.EndStream();
  }
  StreamPlace(const StreamPlace&) = delete;
  StreamPlace& operator=(const StreamPlace&) = delete;

  // OK, or Unavailable (TOO_MANY_STREAMS).
  absl::Status status() const;

 private:
  CallGate& gate_;
  const bool has_place_;
};

// The value of a metadata entry of the call; empty when there is none.
std::string MetadataOf(const grpc::CallbackServerContext& context,
                       absl::string_view key);

}  // namespace lathe

#endif  // LATHE_SERVER_CALL_GATE_H_

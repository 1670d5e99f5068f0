// A unary call that runs in the work pool.
#ifndef LATHE_SERVER_UNARY_CALL_H_
#define LATHE_SERVER_UNARY_CALL_H_

#include <grpcpp/support/server_callback.h>

#include <type_traits>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "server/call_gate.h"
#include "server/errors.h"
#include "server/roles.h"

namespace lathe {

// Answers a call with what `work` returns, an absl::Status, which fills in the
// response itself; `work` takes the Caller where it needs to know. It is not
// done for a caller who may not call `method`, a literal as "Search.GetJob".
// It may wait for the disk.
template <typename Request, typename Work>
grpc::ServerUnaryReactor* RunUnary(grpc::CallbackServerContext* context,
                                   CallGate& gate, absl::string_view method,
                                   const Request* request, Work work) {
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  gate.pool().open_calls().Begin();
  gate.pool().Run(
      [context, reactor, &gate, method, request, work = std::move(work)] {
        reactor->Finish(ToGrpc(
            gate.Serve(*context, method, *request, [&](const Caller& caller) {
              if constexpr (std::is_invocable_v<Work, const Caller&>) {
                return work(caller);
              } else {
                return work();
              }
            })));
        gate.pool().open_calls().End();
      });
  return reactor;
}

// Moves the value into `*response`, or returns the error.
template <typename Message>
absl::Status Answer(absl::StatusOr<Message> value, Message* response) {
  if (!value.ok()) return value.status();
  *response = *std::move(value);
  return absl::OkStatus();
}

}  // namespace lathe

#endif  // LATHE_SERVER_UNARY_CALL_H_

// A unary call that runs in the work pool.
#ifndef LATHE_SERVER_UNARY_CALL_H_
#define LATHE_SERVER_UNARY_CALL_H_

#include <grpcpp/support/server_callback.h>

#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "server/errors.h"
#include "server/work_pool.h"

namespace lathe {

// Answers a call with what `work` returns, an absl::Status, which fills in the
// response itself. `work` may wait for the disk.
template <typename Work>
grpc::ServerUnaryReactor* RunUnary(grpc::CallbackServerContext* context,
                                   WorkPool& pool, Work work) {
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  pool.open_calls().Begin();
  pool.Run([reactor, &pool, work = std::move(work)] {
    reactor->Finish(ToGrpc(work()));
    pool.open_calls().End();
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

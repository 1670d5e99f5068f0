// One unary RPC as a function from request to response.
#ifndef LATHE_CLIENT_UNARY_CALL_H_
#define LATHE_CLIENT_UNARY_CALL_H_

#include <grpcpp/client_context.h>
#include <grpcpp/support/status.h>

#include "absl/status/statusor.h"
#include "base/status.h"
#include "client/retry.h"

namespace lathe {

// Calls `method` of `stub` with `request`, again while the server is
// unavailable. The method must be safe to repeat.
template <typename Stub, typename Request, typename Response>
absl::StatusOr<Response> CallUnary(
    Stub& stub,
    grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&,
                                 Response*),
    const Request& request, const RetryOptions& options) {
  Response response;
  LATHE_RETURN_IF_ERROR(
      CallWithRetry(options, [&](grpc::ClientContext& context) {
        return (stub.*method)(&context, request, &response);
      }));
  return response;
}

}  // namespace lathe

#endif  // LATHE_CLIENT_UNARY_CALL_H_

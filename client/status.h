// absl::Status and grpc::Status, into each other.
#ifndef LATHE_CLIENT_STATUS_H_
#define LATHE_CLIENT_STATUS_H_

#include <grpcpp/support/status.h>

#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace lathe {

// Payload under which the google.rpc.ErrorInfo of a status is kept.
constexpr char kErrorInfoUrl[] = "type.googleapis.com/google.rpc.ErrorInfo";

// Code, message, and every detail of the google.rpc.Status sent along
// (ErrorInfo, BadRequest) as a payload under its type URL.
absl::Status FromGrpc(const grpc::Status& status);

// The reverse; payloads travel as details.
grpc::Status ToGrpc(const absl::Status& status);

// The reason of the status's ErrorInfo, for instance "LEASE_FENCED"; empty
// when it has none.
std::string ErrorReason(const absl::Status& status);

// `status` with an ErrorInfo of domain "lathe" and this reason.
absl::Status WithErrorReason(absl::Status status, absl::string_view reason);

}  // namespace lathe

#endif  // LATHE_CLIENT_STATUS_H_

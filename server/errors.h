// Errors as clients see them: a code, a message, and one ErrorInfo.
#ifndef LATHE_SERVER_ERRORS_H_
#define LATHE_SERVER_ERRORS_H_

#include <grpcpp/support/status.h>

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"

namespace lathe {

// `status` with an ErrorInfo of domain "lathe" and `reason` (docs/errors.md
// lists them), unless it is OK or has one.
absl::Status WithReason(const absl::Status& status, absl::string_view reason);

// One reason for a code.
struct CodeReason {
  absl::StatusCode code;
  absl::string_view reason;
};

// WithReason, by the code of `status`; other codes stay as they are.
absl::Status WithReasons(const absl::Status& status,
                         absl::Span<const CodeReason> reasons);

// An error with its reason.
absl::Status MakeError(absl::StatusCode code, absl::string_view reason,
                       absl::string_view message);

// Code, message, and the details as a google.rpc.Status. An error without a
// reason gets its code's: "NOT_FOUND", "UNAVAILABLE", ... Long messages are
// cut.
grpc::Status ToGrpc(const absl::Status& status);

// Collects what is wrong with a request, field by field; the first ten. Not
// thread-safe.
class FieldChecks {
 public:
  // Unless `is_ok`, notes that `field` breaks a rule; `description` has the
  // value and the rule.
  void Require(bool is_ok, absl::string_view field,
               absl::string_view description);
  bool ok() const { return violations_.empty(); }
  // OK, or InvalidArgument (FIELD_INVALID) with the first violation in its
  // message and all of them as BadRequest.
  absl::Status ToStatus() const;

 private:
  struct Violation {
    std::string field;
    std::string description;
  };
  std::vector<Violation> violations_;
};

}  // namespace lathe

#endif  // LATHE_SERVER_ERRORS_H_

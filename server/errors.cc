#include "server/errors.h"

#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/cord.h"
#include "absl/strings/str_cat.h"
#include "proto/error.pb.h"

namespace lathe {
namespace {

constexpr char kErrorInfoUrl[] = "type.googleapis.com/google.rpc.ErrorInfo";
constexpr char kBadRequestUrl[] = "type.googleapis.com/google.rpc.BadRequest";

// Errors travel as HTTP/2 headers, of which clients take 8 KiB in all; this
// leaves room for escapes and details.
constexpr size_t kMostMessageBytes = 1000;
constexpr size_t kMostViolations = 10;

// The beginning of `message`, cut between characters of UTF-8.
absl::string_view Shortened(absl::string_view message) {
  if (message.size() <= kMostMessageBytes) return message;
  size_t size = kMostMessageBytes;
  while (size > 0 && (message[size] & 0xC0) == 0x80) --size;
  return message.substr(0, size);
}

}  // namespace

absl::Status WithReason(const absl::Status& status, absl::string_view reason) {
  if (status.ok() || status.GetPayload(kErrorInfoUrl).has_value()) {
    return status;
  }
  google::rpc::ErrorInfo info;
  info.set_reason(std::string(reason));
  info.set_domain("lathe");
  absl::Status with_reason = status;
  with_reason.SetPayload(kErrorInfoUrl, absl::Cord(info.SerializeAsString()));
  return with_reason;
}

absl::Status WithReasons(const absl::Status& status,
                         absl::Span<const CodeReason> reasons) {
  for (const CodeReason& row : reasons) {
    if (status.code() == row.code) return WithReason(status, row.reason);
  }
  return status;
}

absl::Status MakeError(absl::StatusCode code, absl::string_view reason,
                       absl::string_view message) {
  return WithReason(absl::Status(code, message), reason);
}

grpc::Status ToGrpc(const absl::Status& status) {
  if (status.ok()) return grpc::Status::OK;
  const absl::Status complete =
      WithReason(status, absl::StatusCodeToString(status.code()));
  google::rpc::Status details;
  details.set_code(static_cast<int>(complete.code()));
  details.set_message(std::string(Shortened(complete.message())));
  complete.ForEachPayload(
      [&details](absl::string_view url, const absl::Cord& payload) {
        auto* detail = details.add_details();
        detail->set_type_url(std::string(url));
        detail->set_value(std::string(payload));
      });
  return grpc::Status(static_cast<grpc::StatusCode>(complete.code()),
                      details.message(), details.SerializeAsString());
}

void FieldChecks::Require(bool is_ok, absl::string_view field,
                          absl::string_view description) {
  if (is_ok || violations_.size() >= kMostViolations) return;
  violations_.push_back({std::string(field), std::string(description)});
}

absl::Status FieldChecks::ToStatus() const {
  if (ok()) return absl::OkStatus();
  google::rpc::BadRequest bad;
  for (const Violation& violation : violations_) {
    auto* row = bad.add_field_violations();
    row->set_field(violation.field);
    row->set_description(violation.description);
  }
  const Violation& first = violations_.front();
  absl::Status status =
      MakeError(absl::StatusCode::kInvalidArgument, "FIELD_INVALID",
                absl::StrCat(first.field, ": ", first.description));
  status.SetPayload(kBadRequestUrl, absl::Cord(bad.SerializeAsString()));
  return status;
}

}  // namespace lathe

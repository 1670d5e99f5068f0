#include "server/errors.h"

#include <gtest/gtest.h>

#include "proto/error.pb.h"

namespace lathe {
namespace {

google::rpc::ErrorInfo InfoOf(const grpc::Status& status) {
  google::rpc::Status details;
  EXPECT_TRUE(details.ParseFromString(status.error_details()));
  EXPECT_EQ(details.code(), status.error_code());
  EXPECT_EQ(details.message(), status.error_message());
  google::rpc::ErrorInfo info;
  for (const auto& detail : details.details()) detail.UnpackTo(&info);
  return info;
}

TEST(Errors, EveryErrorHasAReason) {
  EXPECT_TRUE(ToGrpc(absl::OkStatus()).ok());
  const grpc::Status status = ToGrpc(absl::NotFoundError("no such thing"));
  EXPECT_EQ(status.error_code(), grpc::StatusCode::NOT_FOUND);
  EXPECT_EQ(InfoOf(status).reason(), "NOT_FOUND");
  EXPECT_EQ(InfoOf(status).domain(), "lathe");
}

TEST(Errors, TheFirstReasonStays) {
  const absl::Status status =
      WithReason(WithReason(absl::AbortedError("x"), "FIRST"), "SECOND");
  EXPECT_EQ(InfoOf(ToGrpc(status)).reason(), "FIRST");
  EXPECT_TRUE(WithReason(absl::OkStatus(), "ANY").ok());
}

TEST(Errors, ReasonsGoByCode) {
  const CodeReason reasons[] = {{absl::StatusCode::kNotFound, "A"},
                                {absl::StatusCode::kAborted, "B"}};
  EXPECT_EQ(
      InfoOf(ToGrpc(WithReasons(absl::AbortedError("x"), reasons))).reason(),
      "B");
  EXPECT_EQ(
      InfoOf(ToGrpc(WithReasons(absl::InternalError("x"), reasons))).reason(),
      "INTERNAL");
}

TEST(Errors, LongMessagesAreCutBetweenCharacters) {
  std::string text(999, 'x');
  text += "\xC3\xA9\xC3\xA9";
  const grpc::Status status = ToGrpc(absl::InternalError(text));
  EXPECT_EQ(status.error_message(), std::string(999, 'x'));
  EXPECT_LT(status.error_details().size(), 2000u);
}

}  // namespace
}  // namespace lathe

// The two macros for absl::Status and absl::StatusOr that this Abseil lacks.
#ifndef LATHE_BASE_STATUS_H_
#define LATHE_BASE_STATUS_H_

#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

// Returns from the enclosing function with the status of `expr` unless OK.
#define LATHE_RETURN_IF_ERROR(expr)                \
  do {                                             \
    ::absl::Status lathe_status_ = (expr);         \
    if (!lathe_status_.ok()) return lathe_status_; \
  } while (false)

#define LATHE_STATUS_CONCAT_INNER_(a, b) a##b
#define LATHE_STATUS_CONCAT_(a, b) LATHE_STATUS_CONCAT_INNER_(a, b)

// Assigns the value of the StatusOr `expr` to `lhs`, which may declare a
// variable, or returns its status from the enclosing function.
#define LATHE_ASSIGN_OR_RETURN(lhs, expr)                                      \
  LATHE_ASSIGN_OR_RETURN_IMPL_(LATHE_STATUS_CONCAT_(lathe_or_, __LINE__), lhs, \
                               expr)
#define LATHE_ASSIGN_OR_RETURN_IMPL_(var, lhs, expr) \
  auto var = (expr);                                 \
  if (!var.ok()) return var.status();                \
  lhs = *std::move(var)

namespace lathe {

// `status` with "`context`: " put before its message; OK stays OK. Payloads
// are kept.
inline absl::Status Annotate(const absl::Status& status,
                             absl::string_view context) {
  if (status.ok()) return status;
  absl::Status annotated(status.code(),
                         absl::StrCat(context, ": ", status.message()));
  status.ForEachPayload(
      [&annotated](absl::string_view url, const absl::Cord& payload) {
        annotated.SetPayload(url, payload);
      });
  return annotated;
}

}  // namespace lathe

#endif  // LATHE_BASE_STATUS_H_

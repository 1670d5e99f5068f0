// Who did what, line by line.
#ifndef LATHE_SERVER_AUDIT_LOG_H_
#define LATHE_SERVER_AUDIT_LOG_H_

#include <cstdint>
#include <memory>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "server/roles.h"

namespace lathe {

// One call that ended.
struct AuditedCall {
  Caller caller;
  // "Search.CancelJob".
  absl::string_view method;
  // What it was about, for instance "jobs/7"; may be empty.
  std::string resource;
  absl::Status status;
};

// A file of JSON lines: time, caller, role, peer, method, resource, code,
// message. Never holds a token. A full file is renamed to `<path>.1`. Lines of
// refused calls beyond a hundred a second are counted, not written, so that a
// flood does not fill the disk. Thread-safe.
class AuditLog {
 public:
  // Errors: those of opening the file.
  static absl::StatusOr<std::unique_ptr<AuditLog>> Open(
      const std::string& path);
  ~AuditLog();
  AuditLog(const AuditLog&) = delete;
  AuditLog& operator=(const AuditLog&) = delete;

  void Write(const AuditedCall& call, absl::Time now) ABSL_LOCKS_EXCLUDED(mu_);

 private:
  AuditLog(std::string path, int fd);
  // Whether a refusal at `now` is one too many.
  bool IsFlood(absl::Time now) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void Append(const std::string& line) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  const std::string path_;
  absl::Mutex mu_;
  int fd_ ABSL_GUARDED_BY(mu_);
  int64_t bytes_ ABSL_GUARDED_BY(mu_) = 0;
  absl::Time second_ ABSL_GUARDED_BY(mu_) = absl::InfinitePast();
  int refusals_ ABSL_GUARDED_BY(mu_) = 0;
  int64_t dropped_ ABSL_GUARDED_BY(mu_) = 0;
};

}  // namespace lathe

#endif  // LATHE_SERVER_AUDIT_LOG_H_

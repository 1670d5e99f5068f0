#include "server/audit_log.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/file.h"
#include "base/log.h"

namespace lathe {
namespace {

constexpr int64_t kMostFileBytes = int64_t{64} << 20;
constexpr int kMostRefusalsPerSecond = 100;
constexpr size_t kMostValueBytes = 300;

int OpenForAppend(const std::string& path) {
  return open(path.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
}

// A JSON string. Bytes that are not printable ASCII are escaped, so that what
// a stranger sends stays one harmless line.
std::string Quoted(absl::string_view text) {
  std::string quoted = "\"";
  for (const char c : text.substr(0, kMostValueBytes)) {
    if (c == '"' || c == '\\') {
      quoted += '\\';
      quoted += c;
    } else if (c >= ' ' && c <= '~') {
      quoted += c;
    } else {
      absl::StrAppendFormat(&quoted, "\\u%04x", static_cast<unsigned char>(c));
    }
  }
  return quoted + "\"";
}

std::string LineOf(const AuditedCall& call, absl::Time now, int64_t dropped) {
  std::string line = absl::StrCat(
      "{\"time\":",
      Quoted(absl::FormatTime(absl::RFC3339_full, now, absl::UTCTimeZone())),
      ",\"caller\":", Quoted(call.caller.name),
      ",\"role\":", Quoted(RoleName(call.caller.role)),
      ",\"peer\":", Quoted(call.caller.peer),
      ",\"method\":", Quoted(call.method),
      ",\"resource\":", Quoted(call.resource),
      ",\"code\":", Quoted(absl::StatusCodeToString(call.status.code())));
  if (!call.status.ok()) {
    absl::StrAppend(&line, ",\"message\":", Quoted(call.status.message()));
  }
  if (dropped > 0) absl::StrAppend(&line, ",\"refusals_dropped\":", dropped);
  return line + "}\n";
}

bool IsRefusal(const absl::Status& status) {
  return absl::IsUnauthenticated(status) || absl::IsPermissionDenied(status);
}

}  // namespace

AuditLog::AuditLog(std::string path, int fd) : path_(std::move(path)), fd_(fd) {
  struct stat info;
  if (fstat(fd, &info) == 0) bytes_ = info.st_size;
}

absl::StatusOr<std::unique_ptr<AuditLog>> AuditLog::Open(
    const std::string& path) {
  const int fd = OpenForAppend(path);
  if (fd < 0) return ErrnoToStatus(errno, path);
  return std::unique_ptr<AuditLog>(new AuditLog(path, fd));
}

AuditLog::~AuditLog() {
  if (fd_ >= 0) close(fd_);
}

bool AuditLog::IsFlood(absl::Time now) {
  if (now - second_ >= absl::Seconds(1) || now < second_) {
    second_ = now;
    refusals_ = 0;
  }
  return ++refusals_ > kMostRefusalsPerSecond;
}

void AuditLog::Write(const AuditedCall& call, absl::Time now) {
  absl::MutexLock lock(&mu_);
  if (IsRefusal(call.status) && IsFlood(now)) {
    ++dropped_;
    return;
  }
  Append(LineOf(call, now, std::exchange(dropped_, 0)));
}

void AuditLog::Append(const std::string& line) {
  if (bytes_ >= kMostFileBytes) {
    std::rename(path_.c_str(), (path_ + ".1").c_str());
    close(fd_);
    fd_ = OpenForAppend(path_);
    bytes_ = 0;
  }
  const ssize_t written = write(fd_, line.data(), line.size());
  bytes_ += std::max<ssize_t>(written, 0);
  // The call is served all the same: a full disk must not end leases.
  if (written != static_cast<ssize_t>(line.size())) {
    LATHE_LOG(kError) << path_ << ": cannot write: " << line;
  }
}

}  // namespace lathe

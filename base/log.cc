#include "base/log.h"

#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"

namespace lathe {
namespace {

std::atomic<LogLevel> least_level{LogLevel::kInfo};

char Letter(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug:
      return 'D';
    case LogLevel::kInfo:
      return 'I';
    case LogLevel::kWarning:
      return 'W';
    default:
      return 'E';
  }
}

}  // namespace

void SetLogLevel(LogLevel level) { least_level = level; }

bool IsLogged(LogLevel level) { return level >= least_level.load(); }

LogLine::~LogLine() {
  std::string message = stream_.str();
  // One line per message, so that text from outside cannot forge a line.
  std::replace(message.begin(), message.end(), '\n', ' ');
  const std::string line = absl::StrCat(
      absl::FormatTime("%Y-%m-%dT%H:%M:%E3SZ ", absl::Now(),
                       absl::UTCTimeZone()),
      std::string(1, Letter(level_)), " ", getpid(), " ", message, "\n");
  // Nothing can be done about a log that cannot be written.
  const ssize_t ignored = write(STDERR_FILENO, line.data(), line.size());
  (void)ignored;
}

}  // namespace lathe

// Structured log lines on standard error: time, level, process, message; as
// text, or as one JSON object each.
//
//   LATHE_LOG(kInfo) << "job " << name << " done";
//
// Thread-safe; a line is written with one write(2).
#ifndef LATHE_BASE_LOG_H_
#define LATHE_BASE_LOG_H_

#include <sstream>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace lathe {

enum class LogLevel { kDebug, kInfo, kWarning, kError, kOff };

// Lines below `level` are dropped. The default is kInfo.
void SetLogLevel(LogLevel level);
bool IsLogged(LogLevel level);

// "debug", "info", "warning", "error" or "off".
// Errors: InvalidArgument - another word.
absl::StatusOr<LogLevel> ParseLogLevel(absl::string_view word);

enum class LogFormat { kText, kJson };

// Lines are `format` from now on. The default is kText.
void SetLogFormat(LogFormat format);

// One line, with its newline, for `message` at `time`.
std::string FormatLogLine(LogFormat format, LogLevel level, absl::Time time,
                          int process, absl::string_view message);

// One line; written when destroyed.
class LogLine {
 public:
  explicit LogLine(LogLevel level) : level_(level) {}
  ~LogLine();
  LogLine(const LogLine&) = delete;
  LogLine& operator=(const LogLine&) = delete;

  std::ostream& stream() { return stream_; }

 private:
  const LogLevel level_;
  std::ostringstream stream_;
};

}  // namespace lathe

#define LATHE_LOG(level)                              \
  if (!::lathe::IsLogged(::lathe::LogLevel::level)) { \
  } else                                              \
    ::lathe::LogLine(::lathe::LogLevel::level).stream()

#endif  // LATHE_BASE_LOG_H_

// Structured log lines on standard error: time, level, message.
//
//   LATHE_LOG(kInfo) << "job " << name << " done";
//
// Thread-safe; a line is written with one write(2).
#ifndef LATHE_BASE_LOG_H_
#define LATHE_BASE_LOG_H_

#include <sstream>

namespace lathe {

enum class LogLevel { kDebug, kInfo, kWarning, kError, kOff };

// Lines below `level` are dropped. The default is kInfo.
void SetLogLevel(LogLevel level);
bool IsLogged(LogLevel level);

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

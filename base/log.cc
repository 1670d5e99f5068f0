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
std::atomic<LogFormat> line_format{LogFormat::kText};

struct LevelName {
  LogLevel level;
  const char* word;
  char letter;
};
constexpr LevelName kLevels[] = {{LogLevel::kDebug, "debug", 'D'},
                                 {LogLevel::kInfo, "info", 'I'},
                                 {LogLevel::kWarning, "warning", 'W'},
                                 {LogLevel::kError, "error", 'E'},
                                 {LogLevel::kOff, "off", 'E'}};

const LevelName& NameOf(LogLevel level) {
  return kLevels[static_cast<int>(level)];
}

// A JSON string's inside. Bytes that are not ASCII pass as they are.
std::string JsonEscaped(absl::string_view text) {
  std::string escaped;
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      escaped += '\\';
      escaped += c;
    } else if (static_cast<unsigned char>(c) < 0x20) {
      absl::StrAppend(
          &escaped, "\\u00",
          absl::Hex(static_cast<unsigned char>(c), absl::kZeroPad2));
    } else {
      escaped += c;
    }
  }
  return escaped;
}

}  // namespace

void SetLogLevel(LogLevel level) { least_level = level; }

bool IsLogged(LogLevel level) { return level >= least_level.load(); }

absl::StatusOr<LogLevel> ParseLogLevel(absl::string_view word) {
  for (const LevelName& name : kLevels) {
    if (word == name.word) return name.level;
  }
  return absl::InvalidArgumentError(
      absl::StrCat("log level \"", word.substr(0, 40),
                   "\": not debug, info, warning, error or off"));
}

void SetLogFormat(LogFormat format) { line_format = format; }

std::string FormatLogLine(LogFormat format, LogLevel level, absl::Time time,
                          int process, absl::string_view message) {
  const std::string when =
      absl::FormatTime("%Y-%m-%dT%H:%M:%E3SZ", time, absl::UTCTimeZone());
  if (format == LogFormat::kJson) {
    return absl::StrCat("{\"time\":\"", when, "\",\"level\":\"",
                        NameOf(level).word, "\",\"pid\":", process,
                        ",\"message\":\"", JsonEscaped(message), "\"}\n");
  }
  // Text from outside can neither forge a line nor command a terminal.
  std::string line(message);
  std::replace_if(
      line.begin(), line.end(),
      [](unsigned char c) { return c < 0x20 || c == 0x7f; }, ' ');
  return absl::StrCat(when, " ", std::string(1, NameOf(level).letter), " ",
                      process, " ", line, "\n");
}

LogLine::~LogLine() {
  const std::string line =
      FormatLogLine(line_format, level_, absl::Now(), getpid(), stream_.str());
  // Nothing can be done about a log that cannot be written.
  const ssize_t ignored = write(STDERR_FILENO, line.data(), line.size());
  (void)ignored;
}

}  // namespace lathe

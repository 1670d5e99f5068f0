#include "base/log.h"

#include <gtest/gtest.h>

#include <string>

namespace lathe {
namespace {

const absl::Time kTime = absl::FromUnixMillis(1'500'000'000'123);

std::string Line(LogFormat format, LogLevel level, absl::string_view message) {
  return FormatLogLine(format, level, kTime, /*process=*/42, message);
}

TEST(Log, ALineOfTextHasTimeLevelAndProcess) {
  EXPECT_EQ(Line(LogFormat::kText, LogLevel::kWarning, "disk full"),
            "2017-07-14T02:40:00.123Z W 42 disk full\n");
}

TEST(Log, TextFromOutsideCannotForgeALine) {
  EXPECT_EQ(Line(LogFormat::kText, LogLevel::kInfo, "a\nb\r\x1b[2Jc\x7f"),
            "2017-07-14T02:40:00.123Z I 42 a b  [2Jc \n");
  EXPECT_EQ(Line(LogFormat::kJson, LogLevel::kInfo, "a\n\"},{\\"),
            "{\"time\":\"2017-07-14T02:40:00.123Z\",\"level\":\"info\","
            "\"pid\":42,\"message\":\"a\\u000a\\\"},{\\\\\"}\n");
}

TEST(Log, KnowsItsLevelsByTheirWords) {
  EXPECT_EQ(ParseLogLevel("debug").value(), LogLevel::kDebug);
  EXPECT_EQ(ParseLogLevel("off").value(), LogLevel::kOff);
  EXPECT_TRUE(absl::IsInvalidArgument(ParseLogLevel("loud").status()));
  EXPECT_TRUE(absl::IsInvalidArgument(ParseLogLevel("").status()));
}

TEST(Log, DropsWhatIsBelowTheLevel) {
  SetLogLevel(LogLevel::kError);
  EXPECT_FALSE(IsLogged(LogLevel::kWarning));
  EXPECT_TRUE(IsLogged(LogLevel::kError));
  SetLogLevel(LogLevel::kOff);
  EXPECT_FALSE(IsLogged(LogLevel::kError));
  SetLogLevel(LogLevel::kInfo);
}

}  // namespace
}  // namespace lathe

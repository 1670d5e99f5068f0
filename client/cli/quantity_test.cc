#include "client/cli/quantity.h"

#include <gtest/gtest.h>

#include <string>

namespace lathe {
namespace {

TEST(LatencyBound, AcceptsTimesAndShares) {
  const struct {
    const char* text;
    double us;
  } times[] = {{"300us", 300}, {"0.5ms", 500},   {"1.5s", 1.5e6},
               {".5ms", 500},  {"1e-3s", 1000.}, {"2E2us", 200}};
  for (const auto& test : times) {
    const absl::StatusOr<LatencyBound> bound = ParseLatencyBound(test.text);
    ASSERT_TRUE(bound.ok()) << bound.status();
    EXPECT_DOUBLE_EQ(std::get<Microseconds>(*bound).value, test.us)
        << test.text;
  }
  EXPECT_DOUBLE_EQ(std::get<BaselineRatio>(*ParseLatencyBound("0.5x")).value,
                   0.5);
}

TEST(LatencyBound, RejectsWhatIsNotAPositiveTimeOrShare) {
  for (const char* text :
       {"",       "ms",    "x",       "0.5",  "0ms",     "-1ms",
        "0x",     "-0.5x", "1 ms",    " 1ms", "1ms ",    "1MS",
        "1m",     "nanms", "infms",   "nanx", "1e400ms", "1e308s",
        "0x10us", "1,5ms", "1.5.2ms", "+1ms", "ms1",     "1usms"}) {
    EXPECT_TRUE(absl::IsInvalidArgument(ParseLatencyBound(text).status()))
        << text;
  }
}

TEST(SizeBound, AcceptsDecimalAndBinaryUnitsAndShares) {
  const struct {
    const char* text;
    int64_t bytes;
  } sizes[] = {
      {"100B", 100},         {"100KB", 100'000},     {"100kB", 100'000},
      {"1.5MB", 1'500'000},  {"2GB", 2'000'000'000}, {"1KiB", 1024},
      {"1.5MiB", 1'572'864}, {"1GiB", 1 << 30},      {"1b", 1}};
  for (const auto& test : sizes) {
    const absl::StatusOr<SizeBound> bound = ParseSizeBound(test.text);
    ASSERT_TRUE(bound.ok()) << bound.status();
    EXPECT_EQ(std::get<Bytes>(*bound).value, test.bytes) << test.text;
  }
  EXPECT_DOUBLE_EQ(std::get<BaselineRatio>(*ParseSizeBound("0.3x")).value, 0.3);
}

TEST(SizeBound, RejectsWhatIsNotAPositiveSizeOrShare) {
  for (const char* text :
       {"", "100", "KB", "0KB", "-1KB", "0.5B", "1e30GB", "nanKB", "infB",
        "1 KB", "100K", "100TB", "0x", "1e9999x", "KB100", "1KBKB"}) {
    EXPECT_TRUE(absl::IsInvalidArgument(ParseSizeBound(text).status())) << text;
  }
}

TEST(Drop, IsAShareBelowOne) {
  EXPECT_DOUBLE_EQ(*ParseDrop("0.01"), 0.01);
  EXPECT_DOUBLE_EQ(*ParseDrop("0"), 0);
  for (const char* text : {"", "1", "-0.01", "1%", "nan", "0.01x", "inf"}) {
    EXPECT_TRUE(absl::IsInvalidArgument(ParseDrop(text).status())) << text;
  }
}

TEST(MinAccuracy, IsAnAccuracyOrANegativeChange) {
  EXPECT_DOUBLE_EQ(*ParseMinAccuracy("0.9"), 0.9);
  EXPECT_DOUBLE_EQ(*ParseMinAccuracy("1"), 1);
  EXPECT_DOUBLE_EQ(*ParseMinAccuracy("-0.01"), -0.01);
  EXPECT_LT(*ParseMinAccuracy("-0"), 0);
  EXPECT_GT(*ParseMinAccuracy("-0"), -1e-9);
  for (const char* text : {"", "0", "1.01", "-1", "--0.1", "90%", "nan", "-nan",
                           "-inf", "- 0.1"}) {
    EXPECT_TRUE(absl::IsInvalidArgument(ParseMinAccuracy(text).status()))
        << text;
  }
}

TEST(Format, ChoosesUnitsThatPeopleRead) {
  EXPECT_EQ(FormatLatency(123.4), "123 us");
  EXPECT_EQ(FormatLatency(1234.5), "1.23 ms");
  EXPECT_EQ(FormatLatency(2.5e6), "2.50 s");
  EXPECT_EQ(FormatBytes(512), "512 B");
  EXPECT_EQ(FormatBytes(78'666), "78.7 kB");
  EXPECT_EQ(FormatBytes(1'234'567), "1.23 MB");
  EXPECT_EQ(FormatSeconds(59.4), "59 s");
  EXPECT_EQ(FormatSeconds(200), "3 min 20 s");
  EXPECT_EQ(FormatSeconds(7500), "2 h 5 min");
}

}  // namespace
}  // namespace lathe

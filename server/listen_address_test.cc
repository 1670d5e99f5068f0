#include "server/listen_address.h"

#include <gtest/gtest.h>

namespace lathe {
namespace {

TEST(ListenAddress, TellsWhatOnlyThisMachineReaches) {
  for (const char* text :
       {"127.0.0.1:0", "127.8.9.10:80", "localhost:5000", "[::1]:65535"}) {
    EXPECT_TRUE(ParseListenAddress(text)->is_loopback) << text;
  }
  for (const char* text : {"0.0.0.0:1", "[::]:1", "10.0.0.1:1", "example:1",
                           "127.evil.example:1", "1270.0.0.1:1"}) {
    EXPECT_FALSE(ParseListenAddress(text)->is_loopback) << text;
  }
}

TEST(ListenAddress, RefusesOtherForms) {
  for (const char* text :
       {"", ":", "127.0.0.1", ":80", "127.0.0.1:", "127.0.0.1:x", "::1:80",
        "127.0.0.1:65536", "127.0.0.1:-1", "[::1:80", "[]:80"}) {
    EXPECT_EQ(ParseListenAddress(text).status().code(),
              absl::StatusCode::kInvalidArgument)
        << text;
  }
}

TEST(ListenAddress, IsWrittenAsClientsTakeIt) {
  EXPECT_EQ(FormatAddress("127.0.0.1", 80), "127.0.0.1:80");
  EXPECT_EQ(FormatAddress("::1", 80), "[::1]:80");
}

}  // namespace
}  // namespace lathe

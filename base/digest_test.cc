#include "base/digest.h"

#include <string>

#include "gtest/gtest.h"

namespace lathe {
namespace {

// FIPS 180-2, appendix B.1.
constexpr char kAbcDigest[] =
    "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

TEST(Digest, MatchesTheStandardsExample) {
  EXPECT_EQ(Sha256Hex("abc"), kAbcDigest);
}

TEST(Digest, DoesNotDependOnHowTheBytesArePieced) {
  DigestBuilder builder;
  builder.Add("a");
  builder.Add("");
  builder.Add("bc");
  EXPECT_EQ(builder.Finish(), kAbcDigest);
}

TEST(Digest, TellsADigestFromOtherText) {
  EXPECT_TRUE(IsSha256Hex(kAbcDigest));
  EXPECT_FALSE(IsSha256Hex(""));
  EXPECT_FALSE(IsSha256Hex(std::string(64, 'G')));
  EXPECT_FALSE(IsSha256Hex(std::string(64, 'A')));
  EXPECT_FALSE(IsSha256Hex(std::string(63, 'a')));
}

}  // namespace
}  // namespace lathe

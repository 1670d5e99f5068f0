#include "storage/blob_store.h"

#include <sys/resource.h>

#include <cerrno>
#include <filesystem>
#include <fstream>
#include <string>

#include "absl/time/clock.h"
#include "base/digest.h"
#include "base/file.h"
#include "gtest/gtest.h"
#include "storage/testing/store_fixture.h"

namespace lathe {
namespace {

using absl::StatusCode;

constexpr int64_t kMostBytes = 100;

absl::Status Put(BlobStore& blobs, const std::string& bytes) {
  auto writer = blobs.Write(Sha256Hex(bytes)).value();
  if (absl::Status status = writer->Append(bytes); !status.ok()) return status;
  return writer->Commit();
}

int FileCount(const std::string& folder) {
  int files = 0;
  for (const auto& entry :
       std::filesystem::recursive_directory_iterator(folder)) {
    files += entry.is_regular_file();
  }
  return files;
}

TEST(BlobStore, ReadsBackAnyPartOfABlob) {
  auto blobs = BlobStore::Open(FreshFolder(), {kMostBytes}).value();
  const std::string bytes("ab\0cd", 5);
  const std::string digest = Sha256Hex(bytes);
  EXPECT_FALSE(blobs->Contains(digest));
  ASSERT_TRUE(Put(*blobs, bytes).ok());
  ASSERT_TRUE(Put(*blobs, bytes).ok());
  EXPECT_TRUE(blobs->Contains(digest));
  EXPECT_EQ(blobs->Size(digest).value(), 5);
  EXPECT_EQ(blobs->Read(digest, 0, 100).value(), bytes);
  EXPECT_EQ(blobs->Read(digest, 1, 3).value(), bytes.substr(1, 3));
  EXPECT_EQ(blobs->Read(digest, 5, 1).value(), "");
  EXPECT_EQ(blobs->Read(digest, 6, 1).status().code(), StatusCode::kOutOfRange);
  EXPECT_EQ(blobs->Read(digest, -1, 1).status().code(),
            StatusCode::kOutOfRange);
}

TEST(BlobStore, HoldsTheEmptyBlob) {
  auto blobs = BlobStore::Open(FreshFolder(), {kMostBytes}).value();
  ASSERT_TRUE(Put(*blobs, "").ok());
  EXPECT_EQ(blobs->Read(Sha256Hex(""), 0, 10).value(), "");
}

TEST(BlobStore, BytesOfAnotherDigestBecomeNoBlob) {
  const std::string folder = FreshFolder();
  auto blobs = BlobStore::Open(folder, {kMostBytes}).value();
  auto writer = blobs->Write(Sha256Hex("wanted")).value();
  ASSERT_TRUE(writer->Append("something else").ok());
  EXPECT_EQ(writer->Commit().code(), StatusCode::kInvalidArgument);
  writer.reset();
  EXPECT_FALSE(blobs->Contains(Sha256Hex("wanted")));
  EXPECT_FALSE(blobs->Contains(Sha256Hex("something else")));
  EXPECT_EQ(FileCount(folder), 0);
}

TEST(BlobStore, NothingIsVisibleBeforeCommit) {
  const std::string folder = FreshFolder();
  auto blobs = BlobStore::Open(folder, {kMostBytes}).value();
  auto writer = blobs->Write(Sha256Hex("ab")).value();
  ASSERT_TRUE(writer->Append("a").ok());
  EXPECT_FALSE(blobs->Contains(Sha256Hex("ab")));
  writer.reset();
  EXPECT_FALSE(blobs->Contains(Sha256Hex("ab")));
}

// While it lives this process can open no more files.
class NoMoreFiles {
 public:
  NoMoreFiles() {
    // UBSan opens a file when it meets an object's type for the first time: of
    // the error's text, it does so now.
    (void)ErrnoToStatus(EMFILE, "open");
    getrlimit(RLIMIT_NOFILE, &before_);
    const rlimit none{0, before_.rlim_max};
    setrlimit(RLIMIT_NOFILE, &none);
  }
  ~NoMoreFiles() { setrlimit(RLIMIT_NOFILE, &before_); }

 private:
  rlimit before_{};
};

TEST(BlobStore,
     ABlobWhoseFolderCouldNotBeSyncedIsNotThereUntilItIsWrittenAgain) {
  auto blobs = BlobStore::Open(FreshFolder(), {kMostBytes}).value();
  const std::string digest = Sha256Hex("ab");
  auto writer = blobs->Write(digest).value();
  ASSERT_TRUE(writer->Append("ab").ok());
  {
    const NoMoreFiles no_more_files;
    EXPECT_FALSE(writer->Commit().ok());
  }
  EXPECT_FALSE(blobs->Contains(digest));
  EXPECT_FALSE(blobs->Touch(digest));
  ASSERT_TRUE(Put(*blobs, "ab").ok());
  EXPECT_TRUE(blobs->Contains(digest));
  EXPECT_TRUE(blobs->Touch(digest));
}

TEST(BlobStore, AWriterGoesOnWhereAnEarlierOneBroke) {
  auto blobs = BlobStore::Open(FreshFolder(), {kMostBytes}).value();
  const std::string digest = Sha256Hex("abcdef");
  EXPECT_EQ(blobs->PartialBytes(digest), 0);
  ASSERT_TRUE(blobs->Write(digest).value()->Append("abXX").ok());
  EXPECT_EQ(blobs->PartialBytes(digest), 4);
  EXPECT_EQ(blobs->Write(digest, 5).status().code(), StatusCode::kOutOfRange);
  EXPECT_EQ(blobs->Write(digest, -1).status().code(), StatusCode::kOutOfRange);
  auto writer = blobs->Write(digest, 2).value();
  // It is this writer's now.
  EXPECT_EQ(blobs->PartialBytes(digest), 0);
  ASSERT_TRUE(writer->Append("cdef").ok());
  EXPECT_TRUE(writer->Commit().ok());
  EXPECT_EQ(blobs->Read(digest, 0, 9).value(), "abcdef");
}

TEST(BlobStore, AShorterPartDoesNotReplaceALongerOne) {
  auto blobs = BlobStore::Open(FreshFolder(), {kMostBytes}).value();
  const std::string digest = Sha256Hex("abcdef");
  ASSERT_TRUE(blobs->Write(digest).value()->Append("abcd").ok());
  ASSERT_TRUE(blobs->Write(digest).value()->Append("ab").ok());
  EXPECT_EQ(blobs->PartialBytes(digest), 4);
}

TEST(BlobStore, WhatAnEarlierProcessLeftIsGoneOnWithOrRemoved) {
  const std::string folder = FreshFolder();
  ASSERT_TRUE(Put(*BlobStore::Open(folder, {kMostBytes}).value(), "kept").ok());
  std::ofstream(folder + "/partial/left.0") << "half";
  std::ofstream(folder + "/partial/" + Sha256Hex("half") + ".7") << "ha";
  auto blobs = BlobStore::Open(folder, {kMostBytes}).value();
  EXPECT_EQ(FileCount(folder), 2);
  EXPECT_TRUE(blobs->Contains(Sha256Hex("kept")));
  auto writer = blobs->Write(Sha256Hex("half"), 2).value();
  ASSERT_TRUE(writer->Append("lf").ok());
  EXPECT_TRUE(writer->Commit().ok());
}

TEST(BlobStore, GarbageIsWhatNobodyRefersToAndNobodyTouchedLately) {
  auto blobs = BlobStore::Open(FreshFolder(), {kMostBytes}).value();
  for (const char* bytes : {"wanted", "garbage"}) {
    ASSERT_TRUE(Put(*blobs, bytes).ok());
  }
  ASSERT_TRUE(blobs->Write(Sha256Hex("begun")).value()->Append("be").ok());
  GarbageRules rules;
  rules.referenced = {Sha256Hex("wanted")};
  rules.unused_since = absl::Now() - absl::Hours(1);
  EXPECT_EQ(blobs->CollectGarbage(rules).blobs, 0);
  rules.unused_since = absl::Now() + absl::Hours(1);
  rules.is_dry_run = true;
  EXPECT_EQ(blobs->CollectGarbage(rules).blobs, 2);
  rules.is_dry_run = false;
  EXPECT_EQ(blobs->CollectGarbage(rules).bytes, 7 + 2);
  EXPECT_TRUE(blobs->Contains(Sha256Hex("wanted")));
  EXPECT_FALSE(blobs->Contains(Sha256Hex("garbage")));
  EXPECT_FALSE(blobs->Touch(Sha256Hex("garbage")));
  EXPECT_EQ(blobs->PartialBytes(Sha256Hex("begun")), 0);
}

TEST(BlobStore, VerifyTellsAFlippedBit) {
  const std::string folder = FreshFolder();
  auto blobs = BlobStore::Open(folder, {kMostBytes}).value();
  const std::string digest = Sha256Hex("bytes");
  ASSERT_TRUE(Put(*blobs, "bytes").ok());
  EXPECT_TRUE(blobs->Verify(digest).ok());
  std::ofstream(folder + "/" + digest.substr(0, 2) + "/" + digest) << "bytEs";
  EXPECT_EQ(blobs->Verify(digest).code(), StatusCode::kDataLoss);
  EXPECT_EQ(blobs->Verify(Sha256Hex("none")).code(), StatusCode::kNotFound);
}

TEST(BlobStore, TwoWritersOfOneBlobDoNotMeet) {
  auto blobs = BlobStore::Open(FreshFolder(), {kMostBytes}).value();
  auto first = blobs->Write(Sha256Hex("ab")).value();
  auto second = blobs->Write(Sha256Hex("ab")).value();
  ASSERT_TRUE(first->Append("a").ok());
  ASSERT_TRUE(second->Append("ab").ok());
  ASSERT_TRUE(first->Append("b").ok());
  EXPECT_TRUE(second->Commit().ok());
  EXPECT_TRUE(first->Commit().ok());
  EXPECT_EQ(blobs->Read(Sha256Hex("ab"), 0, 9).value(), "ab");
}

TEST(BlobStore, KeepsTheLimit) {
  auto blobs = BlobStore::Open(FreshFolder(), {kMostBytes}).value();
  EXPECT_TRUE(Put(*blobs, std::string(kMostBytes, 'x')).ok());
  EXPECT_EQ(Put(*blobs, std::string(kMostBytes + 1, 'x')).code(),
            StatusCode::kResourceExhausted);
}

TEST(BlobStore, WhatIsNoDigestNamesNoFile) {
  auto blobs = BlobStore::Open(FreshFolder(), {kMostBytes}).value();
  for (const std::string& name :
       {std::string(), std::string("../../etc/passwd"), std::string(64, '/'),
        std::string(64, 'A'), Sha256Hex("") + "0"}) {
    EXPECT_EQ(blobs->Write(name).status().code(), StatusCode::kInvalidArgument);
    EXPECT_EQ(blobs->Read(name, 0, 1).status().code(), StatusCode::kNotFound);
    EXPECT_FALSE(blobs->Contains(name));
  }
  EXPECT_EQ(blobs->Size(Sha256Hex("missing")).status().code(),
            StatusCode::kNotFound);
}

TEST(BlobStore, AllBlobsTogetherMayTakeSoMuchAlsoAfterARestart) {
  const std::string folder = FreshFolder();
  const BlobLimits limits{/*most_blob_bytes=*/100, /*most_bytes=*/20};
  auto blobs = BlobStore::Open(folder, limits).value();
  ASSERT_TRUE(Put(*blobs, "0123456789").ok());
  // The same again takes no more.
  ASSERT_TRUE(Put(*blobs, "0123456789").ok());
  ASSERT_TRUE(Put(*blobs, "abcdefgh").ok());
  const absl::Status refused = Put(*blobs, "xyz");
  EXPECT_EQ(refused.code(), StatusCode::kResourceExhausted);
  EXPECT_NE(refused.message().find("18 of the 20"), std::string::npos)
      << refused;
  blobs = BlobStore::Open(folder, limits).value();
  EXPECT_EQ(Put(*blobs, "xyz").code(), StatusCode::kResourceExhausted);
  ASSERT_TRUE(Put(*blobs, "xy").ok());
  // What is removed, or was only begun and is replaced, makes room.
  GarbageRules rules;
  rules.referenced = {Sha256Hex("abcdefgh")};
  rules.unused_since = absl::InfiniteFuture();
  EXPECT_EQ(blobs->CollectGarbage(rules).bytes, 12);
  blobs->Write(Sha256Hex("xyz")).value()->Append("xy").IgnoreError();
  EXPECT_EQ(blobs->PartialBytes(Sha256Hex("xyz")), 2);
  auto writer = blobs->Write(Sha256Hex("xyz"), /*offset=*/1).value();
  ASSERT_TRUE(writer->Append("yz").ok());
  ASSERT_TRUE(writer->Commit().ok());
  ASSERT_TRUE(Put(*blobs, "9 bytes.!").ok());
  EXPECT_EQ(Put(*blobs, "-").code(), StatusCode::kResourceExhausted);
}

}  // namespace
}  // namespace lathe

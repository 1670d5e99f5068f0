#include "storage/blob_store.h"

#include <filesystem>
#include <fstream>
#include <string>

#include "base/digest.h"
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
  auto blobs = BlobStore::Open(FreshFolder(), kMostBytes).value();
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
  auto blobs = BlobStore::Open(FreshFolder(), kMostBytes).value();
  ASSERT_TRUE(Put(*blobs, "").ok());
  EXPECT_EQ(blobs->Read(Sha256Hex(""), 0, 10).value(), "");
}

TEST(BlobStore, BytesOfAnotherDigestBecomeNoBlob) {
  const std::string folder = FreshFolder();
  auto blobs = BlobStore::Open(folder, kMostBytes).value();
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
  auto blobs = BlobStore::Open(folder, kMostBytes).value();
  auto writer = blobs->Write(Sha256Hex("ab")).value();
  ASSERT_TRUE(writer->Append("a").ok());
  EXPECT_FALSE(blobs->Contains(Sha256Hex("ab")));
  writer.reset();
  EXPECT_EQ(FileCount(folder), 0);
}

TEST(BlobStore, HalfWrittenFilesOfAnEarlierProcessGo) {
  const std::string folder = FreshFolder();
  ASSERT_TRUE(Put(*BlobStore::Open(folder, kMostBytes).value(), "kept").ok());
  std::ofstream(folder + "/partial/left.0") << "half";
  auto blobs = BlobStore::Open(folder, kMostBytes).value();
  EXPECT_EQ(FileCount(folder), 1);
  EXPECT_TRUE(blobs->Contains(Sha256Hex("kept")));
}

TEST(BlobStore, TwoWritersOfOneBlobDoNotMeet) {
  auto blobs = BlobStore::Open(FreshFolder(), kMostBytes).value();
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
  auto blobs = BlobStore::Open(FreshFolder(), kMostBytes).value();
  EXPECT_TRUE(Put(*blobs, std::string(kMostBytes, 'x')).ok());
  EXPECT_EQ(Put(*blobs, std::string(kMostBytes + 1, 'x')).code(),
            StatusCode::kResourceExhausted);
}

TEST(BlobStore, WhatIsNoDigestNamesNoFile) {
  auto blobs = BlobStore::Open(FreshFolder(), kMostBytes).value();
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

}  // namespace
}  // namespace lathe

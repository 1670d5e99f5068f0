#include "client/worker/blob_cache.h"

#include <filesystem>
#include <fstream>
#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "base/digest.h"
#include "base/file.h"
#include "gtest/gtest.h"

namespace lathe {
namespace {

class BlobCacheTest : public testing::Test {
 protected:
  BlobCacheTest() : folder_(testing::TempDir() + "/lathe_blob_cache_test") {
    std::filesystem::remove_all(folder_);
    Open(/*most_bytes=*/1000);
  }

  void Open(int64_t most_bytes) {
    cache_ =
        BlobCache::Open(folder_, most_bytes, [this](const std::string& digest) {
          ++fetches_;
          return Serve(digest);
        }).value();
  }

  absl::StatusOr<std::string> Serve(const std::string& digest) {
    const auto found = blobs_.find(digest);
    if (found == blobs_.end()) return absl::NotFoundError("no such blob");
    return found->second;
  }

  // Makes a blob known to the server; returns its digest.
  std::string Add(const std::string& bytes) {
    std::string digest = Sha256Hex(bytes);
    blobs_[digest] = bytes;
    return digest;
  }

  std::string Bring(const std::string& digest) {
    return cache_->Bring({digest}).value().at(digest);
  }

  const std::string folder_;
  std::map<std::string, std::string> blobs_;
  int fetches_ = 0;
  std::unique_ptr<BlobCache> cache_;
};

TEST_F(BlobCacheTest, FetchesABlobOnceAndKeepsItForTheNextProcess) {
  const std::string digest = Add("model");
  EXPECT_EQ(ReadFile(Bring(digest)).value(), "model");
  Bring(digest);
  Open(/*most_bytes=*/1000);
  EXPECT_EQ(ReadFile(Bring(digest)).value(), "model");
  EXPECT_EQ(fetches_, 1);
}

TEST_F(BlobCacheTest, ADamagedFileIsFetchedAgain) {
  const std::string digest = Add("model");
  std::ofstream(Bring(digest)) << "mode1";
  Open(/*most_bytes=*/1000);
  EXPECT_EQ(ReadFile(Bring(digest)).value(), "model");
  EXPECT_EQ(fetches_, 2);
}

TEST_F(BlobCacheTest, AFileThatVanishedIsFetchedAgain) {
  const std::string digest = Add("model");
  std::filesystem::remove(Bring(digest));
  EXPECT_EQ(ReadFile(Bring(digest)).value(), "model");
}

TEST_F(BlobCacheTest, WhatWasNotUsedForLongestGoesButNothingInUse) {
  Open(/*most_bytes=*/10);
  const std::string first = Add("1111"), second = Add("2222"),
                    third = Add("3333");
  const std::string first_path = Bring(first), second_path = Bring(second);
  const auto age = [](const std::string& path, int hours) {
    std::filesystem::last_write_time(
        path, std::filesystem::file_time_type::clock::now() -
                  std::chrono::hours(hours));
  };
  age(first_path, 1);
  age(second_path, 2);
  Bring(third);
  EXPECT_TRUE(FileExists(first_path));
  EXPECT_FALSE(FileExists(second_path));
  ASSERT_TRUE(cache_->Bring({first, second, third}).ok());
  EXPECT_TRUE(FileExists(first_path) && FileExists(second_path));
}

TEST_F(BlobCacheTest, ErrorsAreTheServers) {
  EXPECT_TRUE(absl::IsNotFound(cache_->Bring({Sha256Hex("missing")}).status()));
  EXPECT_TRUE(absl::IsInvalidArgument(cache_->Bring({"../x"}).status()));
}

}  // namespace
}  // namespace lathe

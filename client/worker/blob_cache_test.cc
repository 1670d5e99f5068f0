#include "client/worker/blob_cache.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <chrono>
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
    cache_ = BlobCache::Open(folder_, most_bytes,
                             [this](const std::string& digest, int fd) {
                               ++fetches_;
                               return Serve(digest, fd);
                             })
                 .value();
  }

  absl::Status Serve(const std::string& digest, int fd) {
    const auto found = blobs_.find(digest);
    if (found == blobs_.end()) return absl::NotFoundError("no such blob");
    arrived_before_ = lseek(fd, 0, SEEK_END);
    const std::string rest = found->second.substr(arrived_before_);
    const std::string sent = rest.substr(0, most_sent_);
    EXPECT_EQ(write(fd, sent.data(), sent.size()),
              static_cast<ssize_t>(sent.size()));
    if (sent == rest) return absl::OkStatus();
    return absl::UnavailableError("broken");
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
  // After so many bytes a transfer breaks.
  size_t most_sent_ = 1000;
  off_t arrived_before_ = 0;
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

TEST_F(BlobCacheTest, ABrokenTransferGoesOnInTheNextProcess) {
  const std::string digest = Add("0123456789");
  most_sent_ = 4;
  EXPECT_TRUE(absl::IsUnavailable(cache_->Bring({digest}).status()));
  Open(/*most_bytes=*/1000);
  most_sent_ = 1000;
  EXPECT_EQ(ReadFile(Bring(digest)).value(), "0123456789");
  EXPECT_EQ(arrived_before_, 4);
}

TEST_F(BlobCacheTest, WhatAnotherProcessFetchesIsWaitedFor) {
  const std::string digest = Add("model");
  const std::string partial = folder_ + "/" + digest + ".partial";
  // A lock of a file opened apart is another's, also within a process.
  const int fd = open(partial.c_str(), O_RDWR | O_CREAT, 0644);
  ASSERT_EQ(flock(fd, LOCK_EX), 0);
  EXPECT_TRUE(absl::IsUnavailable(cache_->Bring({digest}).status()));
  EXPECT_EQ(fetches_, 0);
  ASSERT_EQ(write(fd, "model", 5), 5);
  std::filesystem::rename(partial, folder_ + "/" + digest);
  EXPECT_EQ(ReadFile(Bring(digest)).value(), "model");
  EXPECT_EQ(fetches_, 0);
  close(fd);
}

TEST_F(BlobCacheTest, WhatADeadProcessLeftGoesAfterADay) {
  const std::string digest = Add("model");
  const std::string old = folder_ + "/" + Sha256Hex("old") + ".partial";
  const std::string fresh = folder_ + "/" + Sha256Hex("new") + ".partial";
  std::ofstream(old) << "half";
  std::ofstream(fresh) << "half";
  std::filesystem::last_write_time(
      old,
      std::filesystem::file_time_type::clock::now() - std::chrono::hours(25));
  Bring(digest);
  EXPECT_FALSE(FileExists(old));
  EXPECT_TRUE(FileExists(fresh));
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

TEST_F(BlobCacheTest, AFolderThatVanishedIsMadeAgain) {
  const std::string digest = Add("model");
  Bring(digest);
  std::filesystem::remove_all(folder_);
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

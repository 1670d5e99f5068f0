#include "client/worker/blob_cache.h"

#include <algorithm>
#include <filesystem>
#include <system_error>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/digest.h"
#include "base/file.h"
#include "base/log.h"
#include "base/status.h"

namespace lathe {
namespace {

namespace fs = std::filesystem;

struct CachedFile {
  fs::file_time_type used;
  int64_t bytes = 0;
  fs::path path;
};

// The blobs in `folder`; files that vanish meanwhile (another process's
// eviction) are left out.
std::vector<CachedFile> ListBlobs(const std::string& folder) {
  std::vector<CachedFile> files;
  std::error_code error;
  for (const fs::directory_entry& entry :
       fs::directory_iterator(folder, error)) {
    if (!IsSha256Hex(entry.path().filename().string())) continue;
    CachedFile file;
    file.path = entry.path();
    std::error_code gone;
    file.bytes = static_cast<int64_t>(fs::file_size(file.path, gone));
    if (gone) continue;
    file.used = fs::last_write_time(file.path, gone);
    if (!gone) files.push_back(std::move(file));
  }
  return files;
}

}  // namespace

BlobCache::BlobCache(std::string folder, int64_t most_bytes, Fetch fetch)
    : folder_(std::move(folder)),
      most_bytes_(most_bytes),
      fetch_(std::move(fetch)) {}

absl::StatusOr<std::unique_ptr<BlobCache>> BlobCache::Open(
    const std::string& folder, int64_t most_bytes, Fetch fetch) {
  LATHE_RETURN_IF_ERROR(MakeFolders(folder));
  return std::unique_ptr<BlobCache>(
      new BlobCache(folder, most_bytes, std::move(fetch)));
}

std::string BlobCache::PathOf(const std::string& digest) const {
  return absl::StrCat(folder_, "/", digest);
}

absl::StatusOr<std::map<std::string, std::string>> BlobCache::Bring(
    const std::set<std::string>& digests) {
  std::map<std::string, std::string> paths;
  for (const std::string& digest : digests) {
    LATHE_RETURN_IF_ERROR(BringOne(digest));
    paths[digest] = PathOf(digest);
  }
  Evict(digests);
  return paths;
}

absl::Status BlobCache::BringOne(const std::string& digest) {
  if (!IsSha256Hex(digest)) {
    return absl::InvalidArgumentError(
        absl::StrCat("'", digest, "' is not a digest"));
  }
  const std::string path = PathOf(digest);
  std::error_code error;
  // The time of use, for the eviction; fails when the file is missing.
  fs::last_write_time(path, fs::file_time_type::clock::now(), error);
  if (!error && verified_.count(digest) != 0) return absl::OkStatus();
  if (!error) {
    const absl::StatusOr<std::string> bytes = ReadFile(path);
    if (bytes.ok() && Sha256Hex(*bytes) == digest) {
      verified_.insert(digest);
      return absl::OkStatus();
    }
    LATHE_LOG(kWarning) << path << " is damaged; fetching it again";
  }
  LATHE_ASSIGN_OR_RETURN(std::string bytes, fetch_(digest));
  LATHE_RETURN_IF_ERROR(WriteFileAtomically(path, bytes));
  verified_.insert(digest);
  return absl::OkStatus();
}

void BlobCache::Evict(const std::set<std::string>& kept) {
  std::vector<CachedFile> files = ListBlobs(folder_);
  int64_t bytes = 0;
  for (const CachedFile& file : files) bytes += file.bytes;
  std::sort(
      files.begin(), files.end(),
      [](const CachedFile& a, const CachedFile& b) { return a.used < b.used; });
  for (const CachedFile& file : files) {
    if (bytes <= most_bytes_) return;
    const std::string digest = file.path.filename().string();
    if (kept.count(digest) != 0) continue;
    std::error_code ignored;
    fs::remove(file.path, ignored);
    verified_.erase(digest);
    bytes -= file.bytes;
  }
}

}  // namespace lathe

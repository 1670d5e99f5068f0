#include "client/worker/blob_cache.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <optional>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/digest.h"
#include "base/file.h"
#include "base/file_digest.h"
#include "base/log.h"
#include "base/status.h"
#include "client/worker/locked_file.h"

namespace lathe {
namespace {

namespace fs = std::filesystem;

// Behind the digest, of a file that is not whole yet.
constexpr char kPartialEnd[] = ".partial";
// How long to wait for another process that fetches the same, so that a stop
// is soon seen.
constexpr std::chrono::seconds kOthersPatience(1);
constexpr std::chrono::milliseconds kOthersLook(20);
constexpr std::chrono::hours kLeftoversStay(24);

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

// Removes what transfers of processes that died left, once nobody went on with
// it for long.
void RemoveLeftovers(const std::string& folder) {
  const fs::file_time_type before =
      fs::file_time_type::clock::now() - kLeftoversStay;
  std::error_code error;
  for (const fs::directory_entry& entry :
       fs::directory_iterator(folder, error)) {
    const std::string name = entry.path().filename().string();
    // "<digest>.<something>"; the digest alone is a blob.
    if (name.size() <= 64 || !IsSha256Hex(name.substr(0, 64))) continue;
    std::error_code gone;
    if (fs::last_write_time(entry.path(), gone) > before || gone) continue;
    const absl::StatusOr<std::optional<LockedFile>> file =
        LockedFile::TryOpen(entry.path().string(), LockedFile::Kind::kFile);
    if (file.ok() && file->has_value()) fs::remove(entry.path(), gone);
  }
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
  if (IsHere(digest)) return absl::OkStatus();
  return FetchOne(digest);
}

bool BlobCache::IsHere(const std::string& digest) {
  const std::string path = PathOf(digest);
  std::error_code error;
  // The time of use, for the eviction; fails when the file is missing.
  fs::last_write_time(path, fs::file_time_type::clock::now(), error);
  if (error) return false;
  if (verified_.count(digest) != 0) return true;
  const absl::StatusOr<std::string> actual = Sha256HexOfFile(path);
  if (actual.ok() && *actual == digest) {
    verified_.insert(digest);
    return true;
  }
  LATHE_LOG(kWarning) << path << " is damaged; fetching it again";
  return false;
}

absl::Status BlobCache::FetchOne(const std::string& digest) {
  const std::string path = PathOf(digest);
  const std::string partial = absl::StrCat(path, kPartialEnd);
  // Somebody may have emptied the cache.
  LATHE_RETURN_IF_ERROR(MakeFolders(folder_));
  const auto give_up = std::chrono::steady_clock::now() + kOthersPatience;
  while (true) {
    LATHE_ASSIGN_OR_RETURN(
        const std::optional<LockedFile> file,
        LockedFile::TryOpen(partial, LockedFile::Kind::kFile));
    if (file.has_value()) {
      // Another process may just have brought it.
      if (IsHere(digest)) {
        unlink(partial.c_str());
        return absl::OkStatus();
      }
      LATHE_RETURN_IF_ERROR(fetch_(digest, file->fd()));
      if (fsync(file->fd()) != 0 ||
          rename(partial.c_str(), path.c_str()) != 0) {
        return ErrnoToStatus(errno, path);
      }
      verified_.insert(digest);
      return absl::OkStatus();
    }
    if (IsHere(digest)) return absl::OkStatus();
    if (std::chrono::steady_clock::now() > give_up) {
      return absl::UnavailableError(
          absl::StrCat("another process still fetches ", path));
    }
    std::this_thread::sleep_for(kOthersLook);
  }
}

void BlobCache::Evict(const std::set<std::string>& kept) {
  RemoveLeftovers(folder_);
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

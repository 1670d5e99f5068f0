#include "storage/blob_store.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <filesystem>
#include <set>
#include <system_error>

#include "absl/base/thread_annotations.h"
#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "base/digest.h"
#include "base/file.h"
#include "base/status.h"
#include "storage/blob_space.h"
#include "storage/sync_folder.h"

namespace lathe {
namespace {

constexpr int64_t kChunkBytes = 1 << 20;

// Where a blob is written, where it waits for more, and where it becomes
// visible.
struct BlobPaths {
  std::string written;
  std::string partial;
  std::string folder;
  std::string blob;
};

int64_t SizeOf(const std::string& path) {
  struct stat info;
  return stat(path.c_str(), &info) == 0 ? static_cast<int64_t>(info.st_size)
                                        : 0;
}

// Adds the first `bytes` of a file to a digest.
absl::Status AddPrefix(int fd, int64_t bytes, const std::string& path,
                       DigestBuilder* builder) {
  std::string chunk;
  for (int64_t at = 0; at < bytes;) {
    chunk.resize(std::min(kChunkBytes, bytes - at));
    const ssize_t length = pread(fd, chunk.data(), chunk.size(), at);
    if (length < 0 && errno == EINTR) continue;
    if (length < 0) return ErrnoToStatus(errno, path);
    if (length == 0) break;
    builder->Add(absl::string_view(chunk).substr(0, length));
    at += length;
  }
  return absl::OkStatus();
}

// Blobs whose files have their names, but might lose them in a crash.
// Thread-safe.
class UnsyncedBlobs {
 public:
  // Before a blob's file gets its name. One that has it is synced, or here.
  void Add(const std::string& digest, const std::string& path)
      ABSL_LOCKS_EXCLUDED(mu_) {
    absl::MutexLock lock(&mu_);
    if (!FileExists(path)) digests_.insert(digest);
  }

  // Its name is durable.
  void Remove(const std::string& digest) ABSL_LOCKS_EXCLUDED(mu_) {
    absl::MutexLock lock(&mu_);
    digests_.erase(digest);
  }

  bool Has(absl::string_view digest) const ABSL_LOCKS_EXCLUDED(mu_) {
    absl::MutexLock lock(&mu_);
    return digests_.find(digest) != digests_.end();
  }

 private:
  mutable absl::Mutex mu_;
  std::set<std::string, std::less<>> digests_ ABSL_GUARDED_BY(mu_);
};

// What the writers of a store share.
struct WriterParts {
  int64_t most_blob_bytes = 0;
  storage::BlobSpace* space = nullptr;
  UnsyncedBlobs* unsynced = nullptr;
};

class FileBlobWriter : public BlobWriter {
 public:
  // `parts` must outlive this.
  FileBlobWriter(int fd, std::string digest, BlobPaths paths,
                 const WriterParts& parts)
      : fd_(fd),
        digest_(std::move(digest)),
        paths_(std::move(paths)),
        most_bytes_(parts.most_blob_bytes),
        space_(*parts.space),
        unsynced_(*parts.unsynced) {}

  ~FileBlobWriter() override {
    close(fd_);
    if (is_over_) return;
    // What arrived waits for the rest, unless more of it waits already.
    const int64_t waiting = SizeOf(paths_.partial);
    const bool is_kept =
        bytes_ > waiting &&
        rename(paths_.written.c_str(), paths_.partial.c_str()) == 0;
    if (!is_kept) unlink(paths_.written.c_str());
    space_.GiveBack(is_kept ? waiting : bytes_);
  }

  // Goes on behind the first `bytes` of the file.
  absl::Status Resume(int64_t bytes) {
    const int64_t arrived = SizeOf(paths_.written);
    bytes_ = arrived;
    if (ftruncate(fd_, bytes) != 0) {
      return ErrnoToStatus(errno, paths_.written);
    }
    space_.GiveBack(arrived - bytes);
    bytes_ = bytes;
    return AddPrefix(fd_, bytes, paths_.written, &builder_);
  }

  absl::Status Append(absl::string_view bytes) override {
    const auto size = static_cast<int64_t>(bytes.size());
    if (bytes_ + size > most_bytes_) {
      return GiveUp(absl::ResourceExhaustedError(
          absl::StrCat("blob ", digest_, " has more than the ", most_bytes_,
                       " bytes that a blob may have")));
    }
    if (!space_.Take(size)) {
      return GiveUp(absl::ResourceExhaustedError(absl::StrCat(
          "blobs take ", space_.used_bytes(), " of the ", space_.most_bytes(),
          " bytes that they may; delete jobs and then `lathe gc`, or raise "
          "--most-blobs-gib")));
    }
    bytes_ += size;
    builder_.Add(bytes);
    while (!bytes.empty()) {
      const ssize_t written = write(fd_, bytes.data(), bytes.size());
      if (written < 0 && errno == EINTR) continue;
      if (written < 0) return GiveUp(ErrnoToStatus(errno, paths_.written));
      bytes.remove_prefix(written);
    }
    return absl::OkStatus();
  }

  absl::Status Commit() override {
    const std::string actual = builder_.Finish();
    if (actual != digest_) {
      return GiveUp(absl::InvalidArgumentError(
          absl::StrCat("the ", bytes_, " bytes have the digest ", actual,
                       ", not ", digest_, "; send the blob again")));
    }
    if (fsync(fd_) != 0) return GiveUp(ErrnoToStatus(errno, paths_.written));
    LATHE_RETURN_IF_ERROR(MakeFolders(paths_.folder));
    const int64_t replaced = SizeOf(paths_.blob);
    unsynced_.Add(digest_, paths_.blob);
    if (rename(paths_.written.c_str(), paths_.blob.c_str()) != 0) {
      return GiveUp(ErrnoToStatus(errno, paths_.blob));
    }
    space_.GiveBack(replaced);
    is_over_ = true;
    LATHE_RETURN_IF_ERROR(storage::SyncFolder(paths_.folder));
    // The sub-folder itself may be new.
    LATHE_RETURN_IF_ERROR(
        storage::SyncFolder(storage::FolderOf(paths_.folder)));
    unsynced_.Remove(digest_);
    return absl::OkStatus();
  }

 private:
  // What was written is of no use to anybody, or the disk needs the room.
  absl::Status GiveUp(absl::Status why) {
    is_over_ = true;
    unlink(paths_.written.c_str());
    space_.GiveBack(bytes_);
    return why;
  }

  const int fd_;
  const std::string digest_;
  const BlobPaths paths_;
  const int64_t most_bytes_;
  storage::BlobSpace& space_;
  UnsyncedBlobs& unsynced_;
  bool is_over_ = false;
  int64_t bytes_ = 0;
  DigestBuilder builder_;
};

// Blobs lie in 256 sub-folders by the digest's first two digits, half-written
// ones in `partial/`.
class FileBlobStore : public BlobStore {
 public:
  FileBlobStore(std::string folder, const BlobLimits& limits,
                int64_t used_bytes)
      : folder_(std::move(folder)),
        space_(limits.most_bytes, used_bytes),
        writer_parts_{limits.most_blob_bytes, &space_, &unsynced_} {}

  bool Contains(absl::string_view digest) const override {
    return IsSha256Hex(digest) && !unsynced_.Has(digest) &&
           FileExists(PathsOf(digest).blob);
  }

  bool Touch(absl::string_view digest) const override {
    // Now, by the file system's clock; fails when there is no such file.
    return IsSha256Hex(digest) && !unsynced_.Has(digest) &&
           utimensat(AT_FDCWD, PathsOf(digest).blob.c_str(), nullptr, 0) == 0;
  }

  absl::StatusOr<std::unique_ptr<BlobWriter>> Write(absl::string_view digest,
                                                    int64_t offset) override {
    if (!IsSha256Hex(digest)) {
      return absl::InvalidArgumentError(absl::StrCat(
          "'", digest.substr(0, 80),
          "' is not a digest (64 lower-case hexadecimal digits of SHA-256)"));
    }
    BlobPaths paths = PathsOf(digest);
    // Two writers of one blob do not meet before the rename.
    paths.written = absl::StrCat(paths.partial, ".", next_writer_.fetch_add(1));
    if (offset != 0) LATHE_RETURN_IF_ERROR(TakeUp(paths, offset));
    const int fd = open(
        paths.written.c_str(),
        O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC | (offset ? 0 : O_TRUNC), 0644);
    if (fd < 0) return ErrnoToStatus(errno, paths.written);
    auto writer = std::make_unique<FileBlobWriter>(
        fd, std::string(digest), std::move(paths), writer_parts_);
    LATHE_RETURN_IF_ERROR(writer->Resume(offset));
    return std::unique_ptr<BlobWriter>(std::move(writer));
  }

  int64_t PartialBytes(absl::string_view digest) const override {
    return IsSha256Hex(digest) ? SizeOf(PathsOf(digest).partial) : 0;
  }

  absl::StatusOr<std::string> Read(absl::string_view digest, int64_t offset,
                                   int64_t most_bytes) const override {
    LATHE_ASSIGN_OR_RETURN(int64_t size, Size(digest));
    if (offset < 0 || offset > size) {
      return absl::OutOfRangeError(absl::StrCat("offset = ", offset,
                                                " is not in the ", size,
                                                " bytes of blob ", digest));
    }
    const std::string path = PathsOf(digest).blob;
    const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (fd < 0) return ErrnoToStatus(errno, path);
    absl::Cleanup close_fd = [fd] { close(fd); };
    std::string bytes(std::clamp<int64_t>(most_bytes, 0, size - offset), '\0');
    size_t filled = 0;
    while (filled < bytes.size()) {
      const ssize_t length = pread(fd, &bytes[filled], bytes.size() - filled,
                                   offset + static_cast<int64_t>(filled));
      if (length < 0 && errno == EINTR) continue;
      if (length < 0) return ErrnoToStatus(errno, path);
      if (length == 0) break;
      filled += length;
    }
    bytes.resize(filled);
    return bytes;
  }

  absl::StatusOr<int64_t> Size(absl::string_view digest) const override {
    struct stat info;
    if (!IsSha256Hex(digest) ||
        stat(PathsOf(digest).blob.c_str(), &info) != 0) {
      return absl::NotFoundError(
          absl::StrCat("no blob ", digest.substr(0, 80), "; upload it first"));
    }
    return info.st_size;
  }

  absl::Status Verify(absl::string_view digest) const override {
    LATHE_ASSIGN_OR_RETURN(const int64_t size, Size(digest));
    const std::string path = PathsOf(digest).blob;
    const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (fd < 0) return ErrnoToStatus(errno, path);
    const absl::Cleanup close_fd = [fd] { close(fd); };
    DigestBuilder builder;
    LATHE_RETURN_IF_ERROR(AddPrefix(fd, size, path, &builder));
    if (builder.Finish() == digest) return absl::OkStatus();
    return absl::DataLossError(absl::StrCat(
        "the bytes of blob ", digest, " do not have that digest; remove ", path,
        " and upload the blob again"));
  }

  RemovedBlobs CollectGarbage(const GarbageRules& rules) override {
    RemovedBlobs removed;
    std::error_code error;
    for (const auto& entry :
         std::filesystem::recursive_directory_iterator(folder_, error)) {
      const std::string path = entry.path().string();
      // `partial/` holds digests, and digests with a writer's number.
      const std::string digest = entry.path().filename().string().substr(0, 64);
      struct stat info;
      if (!IsSha256Hex(digest) || stat(path.c_str(), &info) != 0 ||
          absl::TimeFromTimespec(info.st_mtim) > rules.unused_since) {
        continue;
      }
      const bool is_partial =
          entry.path().parent_path().filename() == "partial";
      if (!is_partial && rules.referenced.count(digest) > 0) continue;
      if (!rules.is_dry_run) {
        if (unlink(path.c_str()) != 0) continue;
        space_.GiveBack(info.st_size);
      }
      if (!is_partial) removed.digests.push_back(digest);
      ++removed.blobs;
      removed.bytes += info.st_size;
    }
    return removed;
  }

 private:
  // Makes what arrived earlier, at least `offset` bytes, this writer's.
  absl::Status TakeUp(const BlobPaths& paths, int64_t offset) {
    const int64_t arrived = SizeOf(paths.partial);
    // The rename lets one of two writers win.
    if (offset > 0 && offset <= arrived &&
        rename(paths.partial.c_str(), paths.written.c_str()) == 0) {
      return absl::OkStatus();
    }
    return absl::OutOfRangeError(
        absl::StrCat("offset = ", offset, ", not in [0, ", arrived,
                     "], what has arrived of the blob"));
  }

  BlobPaths PathsOf(absl::string_view digest) const {
    BlobPaths paths;
    paths.partial = absl::StrCat(folder_, "/partial/", digest);
    paths.folder = absl::StrCat(folder_, "/", digest.substr(0, 2));
    paths.blob = absl::StrCat(paths.folder, "/", digest);
    return paths;
  }

  const std::string folder_;
  storage::BlobSpace space_;
  UnsyncedBlobs unsynced_;
  const WriterParts writer_parts_;
  std::atomic<int64_t> next_writer_{0};
};

// What an earlier process was writing when it died can be gone on with.
absl::Status KeepPartials(const std::string& folder) {
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(folder, error)) {
    const std::string path = entry.path().string();
    const std::string name = entry.path().filename().string();
    const std::string digest = name.substr(0, 64);
    if (IsSha256Hex(name)) continue;
    const std::string partial = absl::StrCat(folder, "/", digest);
    const bool is_kept = IsSha256Hex(digest) &&
                         SizeOf(path) > SizeOf(partial) &&
                         rename(path.c_str(), partial.c_str()) == 0;
    if (!is_kept) std::filesystem::remove_all(entry.path(), error);
  }
  return error ? ErrnoToStatus(error.value(), folder) : absl::OkStatus();
}

// Makes the names durable that an earlier process gave before it died.
absl::Status SyncFolders(const std::string& folder) {
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(folder, error)) {
    if (!entry.is_directory(error)) continue;
    LATHE_RETURN_IF_ERROR(storage::SyncFolder(entry.path().string()));
  }
  return storage::SyncFolder(folder);
}

int64_t BytesIn(const std::string& folder) {
  int64_t bytes = 0;
  std::error_code error;
  for (const auto& entry :
       std::filesystem::recursive_directory_iterator(folder, error)) {
    if (entry.is_regular_file(error)) bytes += SizeOf(entry.path().string());
  }
  return bytes;
}

}  // namespace

absl::StatusOr<std::unique_ptr<BlobStore>> BlobStore::Open(
    const std::string& folder, const BlobLimits& limits) {
  const std::string partial = absl::StrCat(folder, "/partial");
  LATHE_RETURN_IF_ERROR(MakeFolders(partial));
  LATHE_RETURN_IF_ERROR(KeepPartials(partial));
  LATHE_RETURN_IF_ERROR(SyncFolders(folder));
  return std::unique_ptr<BlobStore>(
      std::make_unique<FileBlobStore>(folder, limits, BytesIn(folder)));
}

}  // namespace lathe

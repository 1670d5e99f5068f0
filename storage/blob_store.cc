#include "storage/blob_store.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <filesystem>
#include <system_error>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "base/digest.h"
#include "base/file.h"
#include "base/status.h"
#include "storage/sync_folder.h"

namespace lathe {
namespace {

// Where a blob is written and where it becomes visible.
struct BlobPaths {
  std::string partial;
  std::string folder;
  std::string blob;
};

class FileBlobWriter : public BlobWriter {
 public:
  FileBlobWriter(int fd, std::string digest, BlobPaths paths,
                 int64_t most_bytes)
      : fd_(fd),
        digest_(std::move(digest)),
        paths_(std::move(paths)),
        most_bytes_(most_bytes) {}

  ~FileBlobWriter() override {
    close(fd_);
    // Gone already after Commit.
    unlink(paths_.partial.c_str());
  }

  absl::Status Append(absl::string_view bytes) override {
    bytes_ += static_cast<int64_t>(bytes.size());
    if (bytes_ > most_bytes_) {
      return absl::ResourceExhaustedError(
          absl::StrCat("blob ", digest_, " has more than the ", most_bytes_,
                       " bytes that a blob may have"));
    }
    builder_.Add(bytes);
    while (!bytes.empty()) {
      const ssize_t written = write(fd_, bytes.data(), bytes.size());
      if (written < 0 && errno == EINTR) continue;
      if (written < 0) return ErrnoToStatus(errno, paths_.partial);
      bytes.remove_prefix(written);
    }
    return absl::OkStatus();
  }

  absl::Status Commit() override {
    const std::string actual = builder_.Finish();
    if (actual != digest_) {
      return absl::InvalidArgumentError(
          absl::StrCat("the ", bytes_, " bytes have the digest ", actual,
                       ", not ", digest_, "; send the blob again"));
    }
    if (fsync(fd_) != 0) return ErrnoToStatus(errno, paths_.partial);
    LATHE_RETURN_IF_ERROR(MakeFolders(paths_.folder));
    if (rename(paths_.partial.c_str(), paths_.blob.c_str()) != 0) {
      return ErrnoToStatus(errno, paths_.blob);
    }
    LATHE_RETURN_IF_ERROR(storage::SyncFolder(paths_.folder));
    // The sub-folder itself may be new.
    return storage::SyncFolder(storage::FolderOf(paths_.folder));
  }

 private:
  const int fd_;
  const std::string digest_;
  const BlobPaths paths_;
  const int64_t most_bytes_;
  int64_t bytes_ = 0;
  DigestBuilder builder_;
};

// Blobs lie in 256 sub-folders by the digest's first two digits, half-written
// ones in `partial/`.
class FileBlobStore : public BlobStore {
 public:
  FileBlobStore(std::string folder, int64_t most_blob_bytes)
      : folder_(std::move(folder)), most_blob_bytes_(most_blob_bytes) {}

  bool Contains(absl::string_view digest) const override {
    return IsSha256Hex(digest) && FileExists(PathsOf(digest).blob);
  }

  absl::StatusOr<std::unique_ptr<BlobWriter>> Write(
      absl::string_view digest) override {
    if (!IsSha256Hex(digest)) {
      return absl::InvalidArgumentError(absl::StrCat(
          "'", digest.substr(0, 80),
          "' is not a digest (64 lower-case hexadecimal digits of SHA-256)"));
    }
    BlobPaths paths = PathsOf(digest);
    // Two writers of one blob do not meet before the rename.
    absl::StrAppend(&paths.partial, ".", next_writer_.fetch_add(1));
    const int fd = open(paths.partial.c_str(),
                        O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (fd < 0) return ErrnoToStatus(errno, paths.partial);
    return std::unique_ptr<BlobWriter>(std::make_unique<FileBlobWriter>(
        fd, std::string(digest), std::move(paths), most_blob_bytes_));
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

 private:
  BlobPaths PathsOf(absl::string_view digest) const {
    BlobPaths paths;
    paths.partial = absl::StrCat(folder_, "/partial/", digest);
    paths.folder = absl::StrCat(folder_, "/", digest.substr(0, 2));
    paths.blob = absl::StrCat(paths.folder, "/", digest);
    return paths;
  }

  const std::string folder_;
  const int64_t most_blob_bytes_;
  std::atomic<int64_t> next_writer_{0};
};

}  // namespace

absl::StatusOr<std::unique_ptr<BlobStore>> BlobStore::Open(
    const std::string& folder, int64_t most_blob_bytes) {
  const std::string partial = absl::StrCat(folder, "/partial");
  std::error_code error;
  std::filesystem::remove_all(partial, error);
  if (error) return ErrnoToStatus(error.value(), partial);
  LATHE_RETURN_IF_ERROR(MakeFolders(partial));
  return std::unique_ptr<BlobStore>(
      std::make_unique<FileBlobStore>(folder, most_blob_bytes));
}

}  // namespace lathe

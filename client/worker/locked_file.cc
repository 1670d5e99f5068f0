#include "client/worker/locked_file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "base/file.h"

namespace lathe {
namespace {

// Whether `path` still is the file that was locked.
bool IsStillAt(int fd, const std::string& path) {
  struct stat locked;
  struct stat named;
  return fstat(fd, &locked) == 0 && stat(path.c_str(), &named) == 0 &&
         locked.st_dev == named.st_dev && locked.st_ino == named.st_ino;
}

}  // namespace

absl::StatusOr<std::optional<LockedFile>> LockedFile::TryOpen(
    const std::string& path, Kind kind) {
  const int flags =
      kind == Kind::kFolder ? O_RDONLY | O_DIRECTORY : O_RDWR | O_CREAT;
  const int fd = open(path.c_str(), flags | O_CLOEXEC, 0644);
  if (fd < 0) return ErrnoToStatus(errno, path);
  LockedFile file(fd);
  if (flock(fd, LOCK_EX | LOCK_NB) != 0 || !IsStillAt(fd, path)) {
    return std::nullopt;
  }
  return std::optional<LockedFile>(std::move(file));
}

LockedFile::LockedFile(LockedFile&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)) {}

LockedFile::~LockedFile() {
  if (fd_ >= 0) close(fd_);
}

}  // namespace lathe

#include "storage/state_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <string>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "base/file.h"
#include "base/status.h"

namespace lathe::storage {
namespace {

// statfs(2) types: NFS, SMB, CIFS, SMB2, AFS (two), Ceph, Coda, NCP, Lustre,
// GPFS, GFS2, OCFS2, 9P.
constexpr unsigned long kNetworkTypes[] = {
    0x6969,     0x517b,     0xff534d42, 0xfe534d42, 0x5346414f,
    0x6b414653, 0x00c36400, 0x73757245, 0x564c,     0x0bd00bd0,
    0x47504653, 0x01161970, 0x7461636f, 0x01021997};

absl::Status CheckIsLocal(const std::string& folder) {
  struct statfs info;
  if (statfs(folder.c_str(), &info) != 0) return ErrnoToStatus(errno, folder);
  if (!IsNetworkFileSystem(static_cast<unsigned long>(info.f_type))) {
    return absl::OkStatus();
  }
  return absl::FailedPreconditionError(absl::StrCat(
      "state folder ", folder, " lies on a network file system (statfs type 0x",
      absl::Hex(info.f_type), "); choose a --state on a local disk"));
}

absl::Status InUse(const std::string& folder, int fd) {
  char text[32] = "";
  const ssize_t length = pread(fd, text, sizeof(text) - 1, /*offset=*/0);
  const absl::string_view pid = absl::StripAsciiWhitespace(
      absl::string_view(text, std::max<ssize_t>(length, 0)));
  return absl::FailedPreconditionError(absl::StrCat(
      "state folder ", folder, " is used by process ",
      pid.empty() ? "(unknown)" : pid, "; stop it or choose another --state"));
}

}  // namespace

bool IsNetworkFileSystem(unsigned long statfs_type) {
  return std::find(std::begin(kNetworkTypes), std::end(kNetworkTypes),
                   statfs_type) != std::end(kNetworkTypes);
}

absl::StatusOr<std::unique_ptr<StateLock>> StateLock::Acquire(
    const std::string& folder) {
  LATHE_RETURN_IF_ERROR(CheckIsLocal(folder));
  const std::string path = absl::StrCat(folder, "/lock");
  const int fd = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  if (fd < 0) return ErrnoToStatus(errno, path);
  absl::Cleanup close_fd = [fd] { close(fd); };
  if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
    if (errno == EWOULDBLOCK) return InUse(folder, fd);
    return ErrnoToStatus(errno, path);
  }
  const std::string pid = absl::StrCat(getpid(), "\n");
  if (ftruncate(fd, 0) != 0 || pwrite(fd, pid.data(), pid.size(), 0) !=
                                   static_cast<ssize_t>(pid.size())) {
    return ErrnoToStatus(errno, path);
  }
  std::move(close_fd).Cancel();
  return std::unique_ptr<StateLock>(new StateLock(fd));
}

StateLock::~StateLock() { close(fd_); }

}  // namespace lathe::storage

#include "base/file_digest.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/string_view.h"
#include "base/file.h"
#include "base/status.h"

namespace lathe {

absl::Status AddFile(int fd, DigestBuilder* digest) {
  std::string buffer(1 << 20, '\0');
  off_t offset = 0;
  while (true) {
    const ssize_t length = pread(fd, buffer.data(), buffer.size(), offset);
    if (length < 0 && errno == EINTR) continue;
    if (length < 0) return ErrnoToStatus(errno, "read a file");
    if (length == 0) return absl::OkStatus();
    digest->Add(absl::string_view(buffer.data(), length));
    offset += length;
  }
}

absl::StatusOr<std::string> Sha256HexOfFile(const std::string& path) {
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return ErrnoToStatus(errno, path);
  const absl::Cleanup close_fd = [fd] { close(fd); };
  DigestBuilder digest;
  LATHE_RETURN_IF_ERROR(Annotate(AddFile(fd, &digest), path));
  return digest.Finish();
}

}  // namespace lathe

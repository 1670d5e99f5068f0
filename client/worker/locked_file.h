// A file or folder that one process at a time holds.
#ifndef LATHE_CLIENT_WORKER_LOCKED_FILE_H_
#define LATHE_CLIENT_WORKER_LOCKED_FILE_H_

#include <optional>
#include <string>

#include "absl/status/statusor.h"

namespace lathe {

// Held from TryOpen to destruction, or to the end of the process, however that
// ends. Not thread-safe.
class LockedFile {
 public:
  enum class Kind { kFile, kFolder };

  // Opens `path` (a file is made when it is missing) and locks it; nothing when
  // somebody else has it, or it was moved away meanwhile.
  // Errors: NotFound, PermissionDenied, ... - it cannot be opened.
  static absl::StatusOr<std::optional<LockedFile>> TryOpen(
      const std::string& path, Kind kind);

  LockedFile(LockedFile&& other) noexcept;
  LockedFile& operator=(LockedFile&&) = delete;
  ~LockedFile();

  int fd() const { return fd_; }

 private:
  explicit LockedFile(int fd) : fd_(fd) {}

  int fd_;
};

}  // namespace lathe

#endif  // LATHE_CLIENT_WORKER_LOCKED_FILE_H_

// Keeps a state folder to one process.
#ifndef LATHE_STORAGE_STATE_LOCK_H_
#define LATHE_STORAGE_STATE_LOCK_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"

namespace lathe::storage {

// Holds an flock on `<folder>/lock` while it lives; the kernel drops it when
// the process dies, however it dies. Immutable.
class StateLock {
 public:
  // Errors:
  //   FailedPrecondition - another process holds it (named), or the folder
  //     lies on a network file system, whose locks cannot be trusted.
  //   NotFound, PermissionDenied, Unavailable - the file cannot be made.
  static absl::StatusOr<std::unique_ptr<StateLock>> Acquire(
      const std::string& folder);
  ~StateLock();
  StateLock(const StateLock&) = delete;
  StateLock& operator=(const StateLock&) = delete;

 private:
  explicit StateLock(int fd) : fd_(fd) {}
  const int fd_;
};

// Whether a file system of this statfs type is served over a network.
bool IsNetworkFileSystem(unsigned long statfs_type);

}  // namespace lathe::storage

#endif  // LATHE_STORAGE_STATE_LOCK_H_

// Where the evaluations of one worker leave their files.
#ifndef LATHE_CLIENT_WORKER_WORK_FOLDER_H_
#define LATHE_CLIENT_WORKER_WORK_FOLDER_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "client/worker/locked_file.h"

namespace lathe {

// A folder "work-..." of the process's own, removed when this is destroyed. Not
// thread-safe.
class WorkFolder {
 public:
  // Makes one in `parent`, and removes those of processes that died.
  // Errors: NotFound, PermissionDenied, ResourceExhausted, ...
  static absl::StatusOr<std::unique_ptr<WorkFolder>> Make(
      const std::string& parent);

  ~WorkFolder();
  WorkFolder(const WorkFolder&) = delete;
  WorkFolder& operator=(const WorkFolder&) = delete;

  const std::string& path() const { return path_; }

 private:
  WorkFolder(std::string path, LockedFile lock);

  const std::string path_;
  const LockedFile lock_;
};

}  // namespace lathe

#endif  // LATHE_CLIENT_WORKER_WORK_FOLDER_H_

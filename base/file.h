// Whole files, written so that a crash leaves the old one or the new one.
#ifndef LATHE_BASE_FILE_H_
#define LATHE_BASE_FILE_H_

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace lathe {

// Errors:
//   NotFound - no such file.
//   FailedPrecondition - `path` is a folder.
//   PermissionDenied, Unavailable - it cannot be read.
absl::StatusOr<std::string> ReadFile(const std::string& path);

// Writes beside `path`, syncs, renames, and syncs the folder: after OK the
// bytes are durable, after an error the old file is untouched.
//
// Errors:
//   NotFound - the folder of `path` does not exist.
//   PermissionDenied, ResourceExhausted (disk full), Unavailable.
absl::Status WriteFileAtomically(const std::string& path,
                                 absl::string_view bytes);

// Makes the folder and its missing parents; OK when it exists.
absl::Status MakeFolders(const std::string& path);

bool FileExists(const std::string& path);

// The status that tells `error_number` (an errno value) about `path`.
absl::Status ErrnoToStatus(int error_number, absl::string_view what);

}  // namespace lathe

#endif  // LATHE_BASE_FILE_H_

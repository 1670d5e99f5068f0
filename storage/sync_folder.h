// Makes the names in a folder durable.
#ifndef LATHE_STORAGE_SYNC_FOLDER_H_
#define LATHE_STORAGE_SYNC_FOLDER_H_

#include <string>

#include "absl/status/status.h"

namespace lathe::storage {

// After OK the files renamed or linked into `folder` before are found there
// after a crash.
// Errors: NotFound, PermissionDenied, Unavailable.
absl::Status SyncFolder(const std::string& folder);

// The folder in which `path` lies; "." for a bare name.
std::string FolderOf(const std::string& path);

}  // namespace lathe::storage

#endif  // LATHE_STORAGE_SYNC_FOLDER_H_

#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "base/file.h"
#include "base/status.h"
#include "storage/integrity.h"
#include "storage/schema.h"
#include "storage/sqlite.h"
#include "storage/sqlite_store.h"
#include "storage/state_lock.h"

namespace lathe::storage {
namespace {

absl::Status Restore(const std::string& backup_path,
                     const std::string& folder) {
  LATHE_RETURN_IF_ERROR(MakeFolders(folder));
  LATHE_ASSIGN_OR_RETURN(const std::unique_ptr<StateLock> lock,
                         StateLock::Acquire(folder));
  const std::string path = absl::StrCat(folder, "/lathe.db");
  if (FileExists(path)) {
    return absl::AlreadyExistsError(absl::StrCat(
        path, " exists; restore into an empty state folder, or move it away"));
  }
  LATHE_ASSIGN_OR_RETURN(
      std::unique_ptr<Database> backup,
      Database::Open(backup_path, Database::Mode::kReadOnly));
  LATHE_ASSIGN_OR_RETURN(const int version, SchemaVersion(*backup));
  if (version > NewestSchemaVersion()) {
    return absl::FailedPreconditionError(
        absl::StrCat(backup_path, " has schema version ", version,
                     ", this program knows up to ", NewestSchemaVersion()));
  }
  LATHE_RETURN_IF_ERROR(CheckIsSound(*backup));
  return backup->CopyTo(path);
}

}  // namespace
}  // namespace lathe::storage

namespace lathe {

absl::Status RestoreStore(const std::string& backup_path,
                          const std::string& folder) {
  return storage::Restore(backup_path, folder);
}

}  // namespace lathe

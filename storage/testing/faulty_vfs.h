// A file layer for SQLite that fails, and forgets what was not synced.
#ifndef LATHE_STORAGE_TESTING_FAULTY_VFS_H_
#define LATHE_STORAGE_TESTING_FAULTY_VFS_H_

#include <cstdint>
#include <string>

namespace lathe::storage {

struct VfsFault {
  enum class Kind {
    kNone,
    kCut,    // The power goes at the point: the process ends with status 9.
    kWrite,  // A write or truncation at the point fails, once.
    kFull,   // From the point on nothing more can be written.
    kSync,   // The sync at the point is refused.
  };
  Kind kind = Kind::kNone;
  // Which operation that changes files (write, truncate, sync, delete), from 1.
  int64_t point = 0;
  // Draws how much of what was not synced reaches the disk when the power goes:
  // a beginning of the writes, the last of them in part.
  uint64_t seed = 1;
};

// Makes it SQLite's default in this process. Beside every file a shadow
// `<file>.synced` is kept with what a disk would hold for sure: the bytes that
// were synced. Once, before any database is opened.
void InstallFaultyVfs(const VfsFault& fault);

// No more faults.
void ClearVfsFault();

// Operations so far.
int64_t VfsOperations();

// What the disk holds after the power went: puts the shadow of each database
// file of `database_path` in its place. When no process has it open.
void RestoreSynced(const std::string& database_path);

}  // namespace lathe::storage

#endif  // LATHE_STORAGE_TESTING_FAULTY_VFS_H_

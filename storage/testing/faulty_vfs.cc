#include "storage/testing/faulty_vfs.h"

#include <fcntl.h>
#include <sqlite3.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <new>
#include <random>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "absl/types/span.h"

namespace lathe::storage {
namespace {

// A change that was not synced: bytes at an offset, or a new size.
struct Change {
  bool is_truncation = false;
  sqlite3_int64 offset = 0;
  std::string bytes;
};

// What is common to all files.
struct State {
  absl::Mutex mu;
  VfsFault fault ABSL_GUARDED_BY(mu);
  int64_t operations ABSL_GUARDED_BY(mu) = 0;
  // Files with changes that were not synced.
  std::vector<struct FaultyFile*> files ABSL_GUARDED_BY(mu);
};

State& Shared() {
  static auto* const state = new State;
  return *state;
}

// SQLite allocates szOsFile bytes; the real file follows this one.
struct FaultyFile : sqlite3_file {
  sqlite3_file* real = nullptr;
  std::string path;
  std::vector<Change> changes;
};

sqlite3_vfs* RealVfs() {
  static sqlite3_vfs* const real = sqlite3_vfs_find(nullptr);
  return real;
}

FaultyFile* Of(sqlite3_file* file) { return static_cast<FaultyFile*>(file); }

std::string ShadowOf(const std::string& path) {
  return absl::StrCat(path, ".synced");
}

void Apply(const std::string& path, absl::Span<const Change> changes) {
  const int fd =
      open(ShadowOf(path).c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  if (fd < 0) abort();
  for (const Change& change : changes) {
    if (change.is_truncation) {
      if (ftruncate(fd, change.offset) != 0) abort();
    } else if (pwrite(fd, change.bytes.data(), change.bytes.size(),
                      change.offset) !=
               static_cast<ssize_t>(change.bytes.size())) {
      abort();
    }
  }
  close(fd);
}

// The power goes: of each file a beginning of its changes arrives.
[[noreturn]] void CutPower(State& state)
    ABSL_EXCLUSIVE_LOCKS_REQUIRED(state.mu) {
  std::mt19937_64 random(state.fault.seed + 1000003 * state.fault.point);
  for (FaultyFile* file : state.files) {
    std::vector<Change> arrived = file->changes;
    if (arrived.empty()) continue;
    arrived.resize(random() % (arrived.size() + 1));
    if (!arrived.empty() && !arrived.back().is_truncation) {
      std::string& last = arrived.back().bytes;
      last.resize(random() % (last.size() + 1));
    }
    Apply(file->path, arrived);
  }
  _exit(9);
}

// The result of the next operation; SQLITE_OK: it is to be done.
int Next(bool is_sync) {
  State& state = Shared();
  absl::MutexLock lock(&state.mu);
  const int64_t number = ++state.operations;
  const VfsFault fault = state.fault;
  switch (fault.kind) {
    case VfsFault::Kind::kNone:
      return SQLITE_OK;
    case VfsFault::Kind::kCut:
      if (number == fault.point) CutPower(state);
      return SQLITE_OK;
    case VfsFault::Kind::kWrite:
      return number == fault.point && !is_sync ? SQLITE_IOERR_WRITE : SQLITE_OK;
    case VfsFault::Kind::kFull:
      return number >= fault.point && !is_sync ? SQLITE_FULL : SQLITE_OK;
    case VfsFault::Kind::kSync:
      return number == fault.point && is_sync ? SQLITE_IOERR_FSYNC : SQLITE_OK;
  }
  return SQLITE_OK;
}

void Forget(FaultyFile* file) {
  State& state = Shared();
  absl::MutexLock lock(&state.mu);
  auto& files = state.files;
  files.erase(std::remove(files.begin(), files.end(), file), files.end());
}

void Note(FaultyFile* file, Change change) {
  absl::MutexLock lock(&Shared().mu);
  file->changes.push_back(std::move(change));
}

int Close(sqlite3_file* file) {
  FaultyFile* const faulty = Of(file);
  Forget(faulty);
  const int code = faulty->real->pMethods != nullptr
                       ? faulty->real->pMethods->xClose(faulty->real)
                       : SQLITE_OK;
  faulty->~FaultyFile();
  return code;
}

int Read(sqlite3_file* file, void* to, int bytes, sqlite3_int64 offset) {
  sqlite3_file* const real = Of(file)->real;
  return real->pMethods->xRead(real, to, bytes, offset);
}

int Write(sqlite3_file* file, const void* from, int bytes,
          sqlite3_int64 offset) {
  const int fault = Next(/*is_sync=*/false);
  if (fault != SQLITE_OK) return fault;
  sqlite3_file* const real = Of(file)->real;
  const int code = real->pMethods->xWrite(real, from, bytes, offset);
  if (code == SQLITE_OK) {
    Note(Of(file),
         {false, offset, std::string(static_cast<const char*>(from), bytes)});
  }
  return code;
}

int Truncate(sqlite3_file* file, sqlite3_int64 size) {
  const int fault = Next(/*is_sync=*/false);
  if (fault != SQLITE_OK) return fault;
  sqlite3_file* const real = Of(file)->real;
  const int code = real->pMethods->xTruncate(real, size);
  if (code == SQLITE_OK) Note(Of(file), {true, size, ""});
  return code;
}

int Sync(sqlite3_file* file, int flags) {
  const int fault = Next(/*is_sync=*/true);
  if (fault != SQLITE_OK) return fault;
  FaultyFile* const faulty = Of(file);
  const int code = faulty->real->pMethods->xSync(faulty->real, flags);
  if (code != SQLITE_OK) return code;
  absl::MutexLock lock(&Shared().mu);
  Apply(faulty->path, faulty->changes);
  faulty->changes.clear();
  return SQLITE_OK;
}

int FileSize(sqlite3_file* file, sqlite3_int64* size) {
  sqlite3_file* const real = Of(file)->real;
  return real->pMethods->xFileSize(real, size);
}
int Lock(sqlite3_file* file, int level) {
  sqlite3_file* const real = Of(file)->real;
  return real->pMethods->xLock(real, level);
}
int Unlock(sqlite3_file* file, int level) {
  sqlite3_file* const real = Of(file)->real;
  return real->pMethods->xUnlock(real, level);
}
int CheckReservedLock(sqlite3_file* file, int* result) {
  sqlite3_file* const real = Of(file)->real;
  return real->pMethods->xCheckReservedLock(real, result);
}
int FileControl(sqlite3_file* file, int operation, void* argument) {
  sqlite3_file* const real = Of(file)->real;
  return real->pMethods->xFileControl(real, operation, argument);
}
int SectorSize(sqlite3_file* file) {
  sqlite3_file* const real = Of(file)->real;
  return real->pMethods->xSectorSize(real);
}
int DeviceCharacteristics(sqlite3_file* file) {
  sqlite3_file* const real = Of(file)->real;
  return real->pMethods->xDeviceCharacteristics(real);
}
int ShmMap(sqlite3_file* file, int page, int size, int extend,
           void volatile** at) {
  sqlite3_file* const real = Of(file)->real;
  return real->pMethods->xShmMap(real, page, size, extend, at);
}
int ShmLock(sqlite3_file* file, int offset, int count, int flags) {
  sqlite3_file* const real = Of(file)->real;
  return real->pMethods->xShmLock(real, offset, count, flags);
}
void ShmBarrier(sqlite3_file* file) {
  sqlite3_file* const real = Of(file)->real;
  real->pMethods->xShmBarrier(real);
}
int ShmUnmap(sqlite3_file* file, int is_deleted) {
  sqlite3_file* const real = Of(file)->real;
  return real->pMethods->xShmUnmap(real, is_deleted);
}

// Version 2: no memory maps, which would go past xWrite.
constexpr sqlite3_io_methods kMethods = {2,
                                         Close,
                                         Read,
                                         Write,
                                         Truncate,
                                         Sync,
                                         FileSize,
                                         Lock,
                                         Unlock,
                                         CheckReservedLock,
                                         FileControl,
                                         SectorSize,
                                         DeviceCharacteristics,
                                         ShmMap,
                                         ShmLock,
                                         ShmBarrier,
                                         ShmUnmap,
                                         nullptr,
                                         nullptr};

int OpenFile(sqlite3_vfs*, const char* name, sqlite3_file* file, int flags,
             int* out_flags) {
  auto* const faulty = new (file) FaultyFile;
  faulty->real = reinterpret_cast<sqlite3_file*>(reinterpret_cast<char*>(file) +
                                                 sizeof(FaultyFile));
  std::memset(faulty->real, 0, RealVfs()->szOsFile);
  if (name != nullptr) faulty->path = name;
  const int code =
      RealVfs()->xOpen(RealVfs(), name, faulty->real, flags, out_flags);
  if (code != SQLITE_OK) {
    faulty->~FaultyFile();
    file->pMethods = nullptr;
    return code;
  }
  faulty->pMethods = &kMethods;
  absl::MutexLock lock(&Shared().mu);
  Shared().files.push_back(faulty);
  return SQLITE_OK;
}

int DeleteFile(sqlite3_vfs*, const char* name, int syncs_folder) {
  const int fault = Next(/*is_sync=*/false);
  if (fault != SQLITE_OK) return SQLITE_IOERR_DELETE;
  std::remove(ShadowOf(name).c_str());
  return RealVfs()->xDelete(RealVfs(), name, syncs_folder);
}

}  // namespace

void InstallFaultyVfs(const VfsFault& fault) {
  {
    absl::MutexLock lock(&Shared().mu);
    Shared().fault = fault;
  }
  static sqlite3_vfs faulty = *RealVfs();
  faulty.szOsFile = static_cast<int>(sizeof(FaultyFile)) + RealVfs()->szOsFile;
  faulty.zName = "lathe-faulty";
  faulty.xOpen = OpenFile;
  faulty.xDelete = DeleteFile;
  sqlite3_vfs_register(&faulty, /*makeDflt=*/1);
}

void ClearVfsFault() {
  absl::MutexLock lock(&Shared().mu);
  Shared().fault = VfsFault();
}

int64_t VfsOperations() {
  absl::MutexLock lock(&Shared().mu);
  return Shared().operations;
}

void RestoreSynced(const std::string& database_path) {
  std::remove(absl::StrCat(database_path, "-shm").c_str());
  for (const char* end : {"", "-wal", "-journal"}) {
    const std::string path = absl::StrCat(database_path, end);
    std::remove(path.c_str());
    std::rename(ShadowOf(path).c_str(), path.c_str());
  }
}

}  // namespace lathe::storage

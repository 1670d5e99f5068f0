#include "client/worker/work_folder.h"

#include <unistd.h>

#include <filesystem>
#include <optional>
#include <system_error>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/file.h"
#include "base/log.h"
#include "base/status.h"

namespace lathe {
namespace {

namespace fs = std::filesystem;

constexpr char kPrefix[] = "work-";

std::string HostName() {
  char name[256] = "";
  gethostname(name, sizeof(name) - 1);
  return name;
}

// What nobody holds is a dead process's.
void RemoveAbandoned(const std::string& parent) {
  std::error_code error;
  for (const fs::directory_entry& entry :
       fs::directory_iterator(parent, error)) {
    const std::string path = entry.path().string();
    if (!absl::StartsWith(entry.path().filename().string(), kPrefix)) continue;
    const absl::StatusOr<std::optional<LockedFile>> lock =
        LockedFile::TryOpen(path, LockedFile::Kind::kFolder);
    if (!lock.ok() || !lock->has_value()) continue;
    LATHE_LOG(kInfo) << path << " is removed: its worker is gone";
    std::error_code ignored;
    fs::remove_all(path, ignored);
  }
}

}  // namespace

absl::StatusOr<std::unique_ptr<WorkFolder>> WorkFolder::Make(
    const std::string& parent) {
  // Another worker may take a new folder for an abandoned one before it is
  // locked.
  constexpr int kTries = 10;
  LATHE_RETURN_IF_ERROR(MakeFolders(parent));
  RemoveAbandoned(parent);
  for (int i = 0; i < kTries; ++i) {
    std::string path =
        absl::StrCat(parent, "/", kPrefix, HostName(), "-", getpid(), "-", i);
    LATHE_RETURN_IF_ERROR(MakeFolders(path));
    absl::StatusOr<std::optional<LockedFile>> lock =
        LockedFile::TryOpen(path, LockedFile::Kind::kFolder);
    if (!lock.ok() || !lock->has_value()) continue;
    return std::unique_ptr<WorkFolder>(
        new WorkFolder(std::move(path), **std::move(lock)));
  }
  return absl::UnavailableError(
      absl::StrCat(parent,
                   ": no folder of its own can be locked there; is it "
                   "on a file system without locks?"));
}

WorkFolder::WorkFolder(std::string path, LockedFile lock)
    : path_(std::move(path)), lock_(std::move(lock)) {}

WorkFolder::~WorkFolder() {
  std::error_code ignored;
  fs::remove_all(path_, ignored);
}

}  // namespace lathe

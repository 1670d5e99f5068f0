#include "base/cgroup.h"

#include <algorithm>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/file.h"

namespace lathe {
namespace {

// A folder of groups and the file in it that has the limit.
struct Hierarchy {
  std::string folder;
  absl::string_view limit_file;
  absl::string_view group;  // "/a/b"; "/" is the root's.
};

// One line "ID:CONTROLLERS:GROUP" of the membership; nothing for a hierarchy
// that does not count memory.
std::optional<Hierarchy> ParseLine(const std::string& root,
                                   absl::string_view line) {
  const std::vector<absl::string_view> fields =
      absl::StrSplit(line, absl::MaxSplits(':', 2));
  if (fields.size() != 3) return std::nullopt;
  if (fields[1].empty()) return Hierarchy{root, "memory.max", fields[2]};
  for (const absl::string_view controller : absl::StrSplit(fields[1], ',')) {
    if (controller != "memory") continue;
    return Hierarchy{absl::StrCat(root, "/memory"), "memory.limit_in_bytes",
                     fields[2]};
  }
  return std::nullopt;
}

// "max", and a group that is not there (inside a container the root stands for
// the group), are no limit.
void TakeLimit(const std::string& path, std::optional<int64_t>& least) {
  const absl::StatusOr<std::string> text = ReadFile(path);
  int64_t bytes = 0;
  if (!text.ok() || !absl::SimpleAtoi(*text, &bytes)) return;
  least = std::min(least.value_or(bytes), bytes);
}

}  // namespace

std::optional<int64_t> CgroupMemoryBytes(const std::string& root,
                                         absl::string_view membership) {
  std::optional<int64_t> least;
  for (const absl::string_view line : absl::StrSplit(membership, '\n')) {
    const std::optional<Hierarchy> found = ParseLine(root, line);
    if (!found.has_value()) continue;
    std::string folder = found->folder;
    TakeLimit(absl::StrCat(folder, "/", found->limit_file), least);
    for (const absl::string_view name :
         absl::StrSplit(found->group, '/', absl::SkipEmpty())) {
      absl::StrAppend(&folder, "/", name);
      TakeLimit(absl::StrCat(folder, "/", found->limit_file), least);
    }
  }
  return least;
}

}  // namespace lathe

#include "base/memory.h"

#include <malloc.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <limits>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "base/cgroup.h"
#include "base/file.h"

namespace lathe {

int64_t MachineMemoryBytes() {
  int64_t bytes = int64_t{sysconf(_SC_PHYS_PAGES)} * sysconf(_SC_PAGESIZE);
  const absl::StatusOr<std::string> membership = ReadFile("/proc/self/cgroup");
  const std::optional<int64_t> group =
      CgroupMemoryBytes("/sys/fs/cgroup", membership.value_or(""));
  if (group.has_value()) bytes = std::min(bytes, *group);
  rlimit own;
  if (getrlimit(RLIMIT_AS, &own) == 0 && own.rlim_cur != RLIM_INFINITY) {
    bytes = std::min(bytes, static_cast<int64_t>(own.rlim_cur));
  }
  return bytes;
}

void KeepFreedMemory() {
  constexpr int kTopPadBytes = 64 << 20;
  mallopt(M_MMAP_MAX, 0);
  mallopt(M_TRIM_THRESHOLD, std::numeric_limits<int>::max());
  mallopt(M_TOP_PAD, kTopPadBytes);
}

}  // namespace lathe

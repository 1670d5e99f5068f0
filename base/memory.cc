#include "base/memory.h"

#include <unistd.h>

#include <algorithm>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/numbers.h"
#include "base/file.h"

namespace lathe {

int64_t MachineMemoryBytes() {
  int64_t bytes = int64_t{sysconf(_SC_PHYS_PAGES)} * sysconf(_SC_PAGESIZE);
  const absl::StatusOr<std::string> limit =
      ReadFile("/sys/fs/cgroup/memory.max");
  int64_t container_bytes = 0;
  if (limit.ok() && absl::SimpleAtoi(*limit, &container_bytes)) {
    bytes = std::min(bytes, container_bytes);
  }
  return bytes;
}

}  // namespace lathe

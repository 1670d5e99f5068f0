// What the kernel's control groups leave this process.
#ifndef LATHE_BASE_CGROUP_H_
#define LATHE_BASE_CGROUP_H_

#include <cstdint>
#include <optional>
#include <string>

#include "absl/strings/string_view.h"

namespace lathe {

// The least memory limit of the groups named in `membership`, which is
// /proc/self/cgroup's text, and of their parents: groups of version 2
// (memory.max) and 1 (memory/.../memory.limit_in_bytes), as they lie under
// `root`. Nothing where no group has a limit.
std::optional<int64_t> CgroupMemoryBytes(const std::string& root,
                                         absl::string_view membership);

}  // namespace lathe

#endif  // LATHE_BASE_CGROUP_H_

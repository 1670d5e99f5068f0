#include "evaluator/core_pin.h"

#include <cerrno>
#include <cstring>

#include "absl/memory/memory.h"
#include "absl/strings/str_cat.h"

namespace lathe {

CorePin::~CorePin() {
  if (former_.has_value()) sched_setaffinity(0, sizeof(*former_), &*former_);
}

absl::StatusOr<std::unique_ptr<CorePin>> CorePin::Pin(std::optional<int> core) {
  if (!core.has_value()) return absl::WrapUnique(new CorePin(std::nullopt));
  cpu_set_t former;
  cpu_set_t wanted;
  CPU_ZERO(&wanted);
  const bool is_in_range = *core >= 0 && *core < CPU_SETSIZE;
  if (is_in_range) CPU_SET(*core, &wanted);
  if (!is_in_range || sched_getaffinity(0, sizeof(former), &former) != 0 ||
      sched_setaffinity(0, sizeof(wanted), &wanted) != 0) {
    return absl::UnavailableError(
        absl::StrCat("core ", *core, " cannot be pinned to: ",
                     is_in_range ? std::strerror(errno) : "no such core"));
  }
  return absl::WrapUnique(new CorePin(former));
}

}  // namespace lathe

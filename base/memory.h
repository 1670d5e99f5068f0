// How much memory there is, and what happens when it runs out.
#ifndef LATHE_BASE_MEMORY_H_
#define LATHE_BASE_MEMORY_H_

#include <cstdint>
#include <new>
#include <stdexcept>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

namespace lathe {

// What this machine, or its container, has.
int64_t MachineMemoryBytes();

// From here on malloc keeps what is freed, however large, for what is asked for
// next. By itself it takes large blocks from the system each time, which clears
// every page anew: evaluations make and drop tensors of a hundred megabytes,
// and would spend a third of their time on that.
void KeepFreedMemory();

// What `body` returns, a Status or StatusOr; ResourceExhausted when it runs out
// of memory. `what` is what it does, for the message.
template <typename Body>
auto GuardMemory(absl::string_view what, Body body) -> decltype(body()) {
  try {
    return body();
  } catch (const std::bad_alloc&) {
  } catch (const std::length_error&) {
  }
  return absl::ResourceExhaustedError(absl::StrCat(what, ": out of memory"));
}

}  // namespace lathe

#endif  // LATHE_BASE_MEMORY_H_

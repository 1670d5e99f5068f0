#include "evaluator/program.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <new>

#include "evaluator/memory_plan.h"

namespace lathe {

namespace {

// Of x86-64.
constexpr int64_t kHugePageBytes = int64_t{1} << 21;

// Below a quarter of a huge page small pages do as well.
constexpr int64_t kLeastHugeBytes = kHugePageBytes / 4;

}  // namespace

AlignedBytes AlignedBytes::Uninitialized(int64_t bytes) {
  const int64_t alignment =
      bytes < kLeastHugeBytes ? kBufferAlignment : kHugePageBytes;
  const int64_t rounded =
      std::max<int64_t>(1, (bytes + alignment - 1) / alignment) * alignment;
  AlignedBytes memory;
  memory.data_.reset(
      static_cast<char*>(std::aligned_alloc(alignment, rounded)));
  if (memory.data_ == nullptr) throw std::bad_alloc();
  // Only a wish: without huge pages everything works, a little slower.
  if (alignment == kHugePageBytes) {
    madvise(memory.data_.get(), rounded, MADV_HUGEPAGE);
  }
#if defined(__SANITIZE_ADDRESS__)
  std::memset(memory.data_.get(), 0xff, rounded);
#endif
  return memory;
}

AlignedBytes::AlignedBytes(int64_t bytes) : AlignedBytes(Uninitialized(bytes)) {
  std::memset(data_.get(), 0, std::max<int64_t>(1, bytes));
}

void AlignedBytes::Free::operator()(char* data) const { std::free(data); }

Location Resolve(const std::vector<Buffer>& buffers, Location location) {
  while (buffers[location.buffer].parent >= 0) {
    location.offset += buffers[location.buffer].parent_offset;
    location.buffer = buffers[location.buffer].parent;
  }
  return location;
}

}  // namespace lathe

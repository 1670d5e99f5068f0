#include "evaluator/program.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <new>

#include "evaluator/memory_plan.h"

namespace lathe {

AlignedBytes::AlignedBytes(int64_t bytes) {
  const int64_t rounded =
      std::max<int64_t>(1, (bytes + kBufferAlignment - 1) / kBufferAlignment) *
      kBufferAlignment;
  data_.reset(
      static_cast<char*>(std::aligned_alloc(kBufferAlignment, rounded)));
  if (data_ == nullptr) throw std::bad_alloc();
  std::memset(data_.get(), 0, rounded);
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

// Where activations lie: buffers whose lives do not overlap share memory.
#ifndef LATHE_EVALUATOR_MEMORY_PLAN_H_
#define LATHE_EVALUATOR_MEMORY_PLAN_H_

#include <cstdint>
#include <vector>

#include "absl/types/span.h"

namespace lathe {

// A buffer that is alive from step `first` to step `last`, both included.
struct BufferLife {
  int64_t bytes = 0;
  int first = 0;
  int last = 0;
  // Whether it has memory of its own for good (inputs and outputs); it then
  // gets no offset, but counts as alive all the same.
  bool is_persistent = false;
};

struct MemoryPlan {
  // By buffer; multiples of kBufferAlignment.
  std::vector<int64_t> offsets;
  int64_t arena_bytes = 0;
  // Largest sum of bytes alive at one step.
  int64_t peak_bytes = 0;
};

// Cache lines, and what oneDNN's kernels like best.
constexpr int64_t kBufferAlignment = 64;

// `bytes` rounded up to kBufferAlignment.
inline int64_t AlignedSize(int64_t bytes) {
  return (bytes + kBufferAlignment - 1) / kBufferAlignment * kBufferAlignment;
}

// Greedy by size: the largest buffer first, each at the lowest offset where it
// collides with none that is alive at the same time.
MemoryPlan PlanMemory(absl::Span<const BufferLife> buffers);

}  // namespace lathe

#endif  // LATHE_EVALUATOR_MEMORY_PLAN_H_

#include "evaluator/memory_plan.h"

#include <algorithm>
#include <numeric>

namespace lathe {
namespace {

bool Overlap(const BufferLife& a, const BufferLife& b) {
  return a.first <= b.last && b.first <= a.last;
}

int64_t PeakBytes(absl::Span<const BufferLife> buffers) {
  int steps = 0;
  for (const BufferLife& life : buffers) steps = std::max(steps, life.last + 2);
  std::vector<int64_t> change(steps, 0);
  for (const BufferLife& life : buffers) {
    change[life.first] += life.bytes;
    change[life.last + 1] -= life.bytes;
  }
  int64_t alive = 0;
  int64_t peak = 0;
  for (int64_t delta : change) {
    alive += delta;
    peak = std::max(peak, alive);
  }
  return peak;
}

}  // namespace

MemoryPlan PlanMemory(absl::Span<const BufferLife> buffers) {
  MemoryPlan plan;
  plan.offsets.assign(buffers.size(), 0);
  plan.peak_bytes = PeakBytes(buffers);
  std::vector<int> order(buffers.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](int a, int b) {
    return buffers[a].bytes > buffers[b].bytes;
  });
  std::vector<int> placed;  // By offset.
  for (int buffer : order) {
    if (buffers[buffer].is_persistent) continue;
    const int64_t bytes = AlignedSize(buffers[buffer].bytes);
    int64_t offset = 0;
    for (int other : placed) {
      if (!Overlap(buffers[buffer], buffers[other])) continue;
      if (plan.offsets[other] >= offset + bytes) break;
      offset = std::max(
          offset, plan.offsets[other] + AlignedSize(buffers[other].bytes));
    }
    plan.offsets[buffer] = offset;
    plan.arena_bytes = std::max(plan.arena_bytes, offset + bytes);
    placed.insert(std::upper_bound(placed.begin(), placed.end(), offset,
                                   [&](int64_t value, int other) {
                                     return value < plan.offsets[other];
                                   }),
                  buffer);
  }
  return plan;
}

}  // namespace lathe

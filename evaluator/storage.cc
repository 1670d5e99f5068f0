#include "evaluator/storage.h"

#include <optional>

namespace lathe {
namespace {

// Whether blocks of channels make a difference.
bool IsBlocked(const Layout& layout) { return layout.channel_block > 1; }

}  // namespace

bool IsSameLayout(const MemoryDesc& a, const MemoryDesc& b) {
  if (a == b) return true;
  const std::optional<Layout> first = DescribeLayout(a);
  const std::optional<Layout> second = DescribeLayout(b);
  if (!first || !second || first->dims != second->dims) return false;
  if (first->channel_block != second->channel_block) return false;
  if (DescBytes(a) != DescBytes(b)) return false;
  if (IsBlocked(*first)) return first->strides == second->strides;
  for (size_t d = 0; d < first->dims.size(); ++d) {
    if (first->dims[d] > 1 && first->strides[d] != second->strides[d]) {
      return false;
    }
  }
  return true;
}

bool IsRowMajor(const MemoryDesc& desc) {
  const std::optional<Layout> layout = DescribeLayout(desc);
  if (!layout) return false;
  const int rank = static_cast<int>(layout->dims.size());
  std::vector<int64_t> strides = layout->strides;
  if (IsBlocked(*layout)) {
    // A run of whole blocks, each behind the other, is a plain run.
    if (layout->dims[1] % layout->channel_block != 0) return false;
    const bool is_one_block = layout->dims[1] == layout->channel_block;
    if (!is_one_block && strides[1] != layout->channel_block) return false;
    strides[1] = 1;
  }
  int64_t expected = 1;
  for (int d = rank - 1; d >= 0; --d) {
    if (layout->dims[d] == 1) continue;
    if (strides[d] != expected) return false;
    expected *= layout->dims[d];
  }
  return true;
}

}  // namespace lathe

// oneDNN's engine and its layouts of tensors in memory, and the place where its
// exceptions become absl::Status.
#ifndef LATHE_EVALUATOR_ONEDNN_LAYOUT_H_
#define LATHE_EVALUATOR_ONEDNN_LAYOUT_H_

#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "compressor/tensor.h"
#include "oneapi/dnnl/dnnl.hpp"

namespace lathe {

using MemoryDesc = dnnl::memory::desc;

// Runs `body`, in which oneDNN may throw; the one place where its exceptions
// end. `what` stands before the message.
absl::Status GuardOneDnn(absl::string_view what,
                         const std::function<void()>& body);

// oneDNN's CPU engine, one for the process.
const dnnl::engine& CpuEngine();

// REQUIRES: type is float32, bfloat16, uint8, int8 or int32.
dnnl::memory::data_type ToDnnlType(DataType type);

// Dimensions of a layout.
inline constexpr size_t kMostDescDimensions = DNNL_MAX_NDIMS;

// Row-major. A scalar stands as [1]; of more than kMostDescDimensions, the
// first ones stand as one. REQUIRES: no dimension is 0.
MemoryDesc PlainDesc(absl::Span<const int64_t> shape, DataType type);
// The layout is left to the primitive.
MemoryDesc AnyDesc(absl::Span<const int64_t> shape, DataType type);
// Strides in elements.
MemoryDesc StridedDesc(absl::Span<const int64_t> shape,
                       absl::Span<const int64_t> strides, DataType type);
// Channels (dimension 1) innermost; row-major for other than 3-5 dimensions.
MemoryDesc ChannelsLastDesc(absl::Span<const int64_t> shape, DataType type);
// Blocks of `channel_block` (8 or 16) channels, in 3-5 dimensions.
MemoryDesc BlockedDesc(absl::Span<const int64_t> shape, int64_t channel_block,
                       DataType type);
// The region of `whole` that starts at `offsets`.
//
// Errors: Unimplemented, InvalidArgument - the region cuts a block.
absl::StatusOr<MemoryDesc> RegionDesc(const MemoryDesc& whole,
                                      absl::Span<const int64_t> shape,
                                      absl::Span<const int64_t> offsets);
// The same layout for elements of `type`.
//
// Errors: Unimplemented - a layout that cannot be restated.
absl::StatusOr<MemoryDesc> WithType(const MemoryDesc& desc, DataType type);

int64_t DescBytes(const MemoryDesc& desc);
std::vector<int64_t> DescDims(const MemoryDesc& desc);
// REQUIRES: of one of the types that ToDnnlType takes.
DataType DescType(const MemoryDesc& desc);

// A layout in plain words: the element at `index` lies at the sum of
// index[d] * strides[d], where for dimension 1 (c) the term is
// (c / channel_block) * strides[1] + c % channel_block.
struct Layout {
  std::vector<int64_t> dims;
  std::vector<int64_t> strides;
  int64_t channel_block = 1;
};
// None where the layout is blocked in another way, or padded at the front.
std::optional<Layout> DescribeLayout(const MemoryDesc& desc);

// Whether oneDNN's reorders into this layout, one that blocks of zeros fill up,
// would put zeros over numbers.
bool ReordersLoseNumbers(const MemoryDesc& desc);
// Puts numbers, which lie row-major, where `desc` has them, and zeros where it
// is filled up. What a layout of weights has behind its numbers stays.
// REQUIRES: ReordersLoseNumbers(desc).
void PutInBlocks(const char* numbers, const MemoryDesc& desc, char* out);

}  // namespace lathe

#endif  // LATHE_EVALUATOR_ONEDNN_LAYOUT_H_

#include "evaluator/onednn_layout.h"

#include <cassert>
#include <cstring>
#include <new>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "evaluator/onednn_version.h"

namespace lathe {
namespace {

using onednn::Blocking;
using onednn::BlockingOf;
using onednn::Dims;
using onednn::DimsOf;
using onednn::DnnlType;
using onednn::Retyped;
using onednn::ToDims;

Dims ShapeDims(absl::Span<const int64_t> shape) {
  return shape.empty() ? Dims{1} : ToDims(shape);
}

absl::Status StatusOf(const dnnl::error& error, absl::string_view what) {
  const std::string message = absl::StrCat(what, ": oneDNN: ", error.what());
  switch (error.status) {
    case dnnl_out_of_memory:
      return absl::ResourceExhaustedError(message);
    case dnnl_unimplemented:
      return absl::UnimplementedError(message);
    case dnnl_invalid_arguments:
      return absl::InvalidArgumentError(message);
    default:
      return absl::InternalError(message);
  }
}

}  // namespace

absl::Status GuardOneDnn(absl::string_view what,
                         const std::function<void()>& body) {
  try {
    body();
  } catch (const dnnl::error& error) {
    return StatusOf(error, what);
  } catch (const std::bad_alloc&) {
    return absl::ResourceExhaustedError(absl::StrCat(what, ": out of memory"));
  }
  return absl::OkStatus();
}

const dnnl::engine& CpuEngine() {
  static const auto* engine = new dnnl::engine(dnnl::engine::kind::cpu, 0);
  return *engine;
}

DnnlType ToDnnlType(DataType type) {
  switch (type) {
    case DataType::kBfloat16:
      return DnnlType::bf16;
    case DataType::kUint8:
      return DnnlType::u8;
    case DataType::kInt8:
      return DnnlType::s8;
    case DataType::kInt32:
      return DnnlType::s32;
    default:
      assert(type == DataType::kFloat32);
      return DnnlType::f32;
  }
}

MemoryDesc StridedDesc(absl::Span<const int64_t> shape,
                       absl::Span<const int64_t> strides, DataType type) {
  return MemoryDesc(ShapeDims(shape), ToDnnlType(type),
                    strides.empty() ? Dims{1} : ToDims(strides));
}

MemoryDesc PlainDesc(absl::Span<const int64_t> shape, DataType type) {
  if (shape.size() > kMostDescDimensions) {
    const size_t surplus = shape.size() - kMostDescDimensions + 1;
    Shape merged = {ElementCount(shape.subspan(0, surplus))};
    merged.insert(merged.end(), shape.begin() + surplus, shape.end());
    return PlainDesc(merged, type);
  }
  std::vector<int64_t> strides(shape.size(), 1);
  for (int d = static_cast<int>(shape.size()) - 2; d >= 0; --d) {
    strides[d] = strides[d + 1] * shape[d + 1];
  }
  return StridedDesc(shape, strides, type);
}

MemoryDesc AnyDesc(absl::Span<const int64_t> shape, DataType type) {
  return MemoryDesc(ShapeDims(shape), ToDnnlType(type),
                    dnnl::memory::format_tag::any);
}

MemoryDesc ChannelsLastDesc(absl::Span<const int64_t> shape, DataType type) {
  const int rank = static_cast<int>(shape.size());
  if (rank < 3 || rank > 5) return PlainDesc(shape, type);
  std::vector<int64_t> strides(rank, 1);
  int64_t stride = shape[1];
  for (int d = rank - 1; d >= 2; --d) {
    strides[d] = stride;
    stride *= shape[d];
  }
  strides[0] = stride;
  return StridedDesc(shape, strides, type);
}

MemoryDesc BlockedDesc(absl::Span<const int64_t> shape, int64_t channel_block,
                       DataType type) {
  using Tag = dnnl::memory::format_tag;
  constexpr Tag kTags[3][2] = {{Tag::nCw8c, Tag::nCw16c},
                               {Tag::nChw8c, Tag::nChw16c},
                               {Tag::nCdhw8c, Tag::nCdhw16c}};
  assert(channel_block == 8 || channel_block == 16);
  return MemoryDesc(ToDims(shape), ToDnnlType(type),
                    kTags[shape.size() - 3][channel_block == 16 ? 1 : 0]);
}

absl::StatusOr<MemoryDesc> RegionDesc(const MemoryDesc& whole,
                                      absl::Span<const int64_t> shape,
                                      absl::Span<const int64_t> offsets) {
  MemoryDesc region;
  LATHE_RETURN_IF_ERROR(GuardOneDnn("region of a layout", [&] {
    region = whole.submemory_desc(ToDims(shape), ToDims(offsets));
  }));
  return region;
}

absl::StatusOr<MemoryDesc> WithType(const MemoryDesc& desc, DataType type) {
  std::optional<MemoryDesc> retyped = Retyped(desc, ToDnnlType(type));
  if (!retyped) {
    return absl::UnimplementedError("a layout that cannot be restated");
  }
  return *retyped;
}

int64_t DescBytes(const MemoryDesc& desc) {
  return static_cast<int64_t>(desc.get_size());
}

DataType DescType(const MemoryDesc& desc) {
  const DnnlType type = onednn::TypeOf(desc);
  for (DataType candidate : {DataType::kBfloat16, DataType::kUint8,
                             DataType::kInt8, DataType::kInt32}) {
    if (ToDnnlType(candidate) == type) return candidate;
  }
  assert(type == DnnlType::f32);
  return DataType::kFloat32;
}

std::vector<int64_t> DescDims(const MemoryDesc& desc) { return DimsOf(desc); }

std::optional<Layout> DescribeLayout(const MemoryDesc& desc) {
  const std::optional<Blocking> blocking = BlockingOf(desc);
  if (!blocking || blocking->inner_blocks.size() > 1) return std::nullopt;
  Layout layout{DimsOf(desc), blocking->strides, 1};
  if (!blocking->inner_blocks.empty()) {
    if (blocking->inner_dims[0] != 1) return std::nullopt;
    layout.channel_block = blocking->inner_blocks[0];
  }
  return layout;
}

bool ReordersLoseNumbers(const MemoryDesc& desc) {
  if (!onednn::kReordersLoseNumbers) return false;
  const std::optional<Blocking> blocking = BlockingOf(desc);
  return blocking && !blocking->inner_blocks.empty() &&
         blocking->padded_dims != DimsOf(desc);
}

void PutInBlocks(const char* numbers, const MemoryDesc& desc, char* out) {
  const Blocking blocking = *BlockingOf(desc);
  const Dims dims = DimsOf(desc);
  const int64_t bytes = ElementBytes(DescType(desc));
  std::memset(out, 0, ElementCount(blocking.padded_dims) * bytes);
  Dims index(dims.size(), 0);
  Dims outer;
  const int64_t count = ElementCount(dims);
  for (int64_t i = 0; i < count; ++i) {
    // From the innermost block outwards.
    outer = index;
    int64_t offset = 0;
    int64_t stride = 1;
    for (size_t b = blocking.inner_blocks.size(); b-- > 0;) {
      const int64_t block = blocking.inner_blocks[b];
      int64_t& position = outer[blocking.inner_dims[b]];
      offset += position % block * stride;
      position /= block;
      stride *= block;
    }
    for (size_t d = 0; d < outer.size(); ++d) {
      offset += outer[d] * blocking.strides[d];
    }
    std::memcpy(out + offset * bytes, numbers + i * bytes, bytes);
    for (size_t d = dims.size(); d-- > 0 && ++index[d] == dims[d];) {
      index[d] = 0;
    }
  }
}

}  // namespace lathe

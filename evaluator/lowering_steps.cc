// The part of LoweringContext that makes buffers and steps.
#include <algorithm>
#include <cstring>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "evaluator/lowering_context.h"
#include "evaluator/vector_loops.h"

namespace lathe {
namespace {

// None for floats.
std::optional<ByteGrid> ByteGridOf(const Encoding& encoding) {
  if (!encoding.IsLevels()) return std::nullopt;
  return ByteGrid{encoding.scale, encoding.zero_point,
                  encoding.type == DataType::kInt8 ? -128 : 0};
}

// Row-major or channels last, without gaps.
bool IsDense(const MemoryDesc& desc) {
  const std::vector<int64_t> dims = DescDims(desc);
  return IsSameLayout(desc, PlainDesc(dims, DescType(desc))) ||
         IsSameLayout(desc, ChannelsLastDesc(dims, DescType(desc)));
}

}  // namespace

Location LoweringContext::NewBuffer(int64_t bytes, bool is_persistent) {
  Buffer buffer;
  buffer.bytes = bytes;
  buffer.is_persistent = is_persistent;
  program_.buffers.push_back(std::move(buffer));
  return {static_cast<int>(program_.buffers.size()) - 1, 0};
}

Copy LoweringContext::NewCopy(const Encoding& encoding,
                              const MemoryDesc& desc) {
  return {encoding, desc, NewBuffer(DescBytes(desc), /*is_persistent=*/false)};
}

Copy LoweringContext::NewRawCopy(ValueId value) {
  if (HasLayout(value)) {
    return NewCopy(FloatEncoding(),
                   PlainDesc(shape(value), DataType::kFloat32));
  }
  Copy copy;
  copy.encoding.type = type(value);
  copy.location =
      NewBuffer(ElementCount(shape(value)) * ElementBytes(type(value)), false);
  return copy;
}

Location LoweringContext::NewConstant(const void* bytes, int64_t size) {
  auto memory = std::make_shared<AlignedBytes>(size);
  if (size > 0) std::memcpy(memory->data(), bytes, size);
  const Location location = NewBuffer(size, /*is_persistent=*/false);
  program_.buffers[location.buffer].constant = std::move(memory);
  return location;
}

absl::StatusOr<Location> LoweringContext::NewReorderedConstant(
    const void* values, const MemoryDesc& source,
    const MemoryDesc& destination) {
  if (source == destination) {
    return NewConstant(values, DescBytes(destination));
  }
  ReorderSpec spec;
  spec.source = source;
  spec.destination = destination;
  auto memory = std::make_shared<AlignedBytes>(DescBytes(destination));
  LATHE_RETURN_IF_ERROR(ReorderNow(spec, values, memory->data()));
  const Location location =
      NewBuffer(DescBytes(destination), /*is_persistent=*/false);
  program_.buffers[location.buffer].constant = std::move(memory);
  return location;
}

bool LoweringContext::TryPlaceInside(const Copy& part, const Copy& whole,
                                     int64_t offset) {
  Buffer& buffer = program_.buffers[part.location.buffer];
  if (part.location.offset != 0 || buffer.parent >= 0 || buffer.constant ||
      buffer.is_persistent || tenants_[part.location.buffer].size() != 1) {
    return false;
  }
  const int root = Resolve(program_.buffers, whole.location).buffer;
  if (root == part.location.buffer) return false;
  buffer.parent = whole.location.buffer;
  buffer.parent_offset = whole.location.offset + offset;
  for (ValueId tenant : tenants_[part.location.buffer]) {
    tenants_[root].insert(tenant);
  }
  tenants_.erase(part.location.buffer);
  return true;
}

absl::Status LoweringContext::AddKernel(absl::string_view kind,
                                        const Kernel& kernel,
                                        std::vector<Operand> operands,
                                        bool is_reorder) {
  for (const ConstantArgument& constant : kernel.constants) {
    const Location location =
        NewConstant(constant.bytes.data(), constant.bytes.size());
    operands.push_back(Reads(constant.argument, location, constant.desc));
  }
  if (DescBytes(kernel.scratchpad) > 0) {
    program_.scratchpad_bytes =
        std::max(program_.scratchpad_bytes, DescBytes(kernel.scratchpad));
    operands.push_back({Location{}, /*is_written=*/true, DNNL_ARG_SCRATCHPAD,
                        kernel.scratchpad});
  }
  Step step;
  step.info = {node(owner_).name, std::string(kind), kernel.implementation,
               owner_, is_reorder};
  step.info.is_integer = DescBytes(kernel.weights) > 0 &&
                         DescType(kernel.weights) == DataType::kInt8;
  step.operands = std::move(operands);
  step.body = kernel.primitive;
  program_.steps.push_back(std::move(step));
  return absl::OkStatus();
}

void LoweringContext::AddLoop(absl::string_view kind,
                              absl::string_view implementation,
                              std::vector<Operand> operands, Loop loop,
                              bool is_reorder) {
  Step step;
  const std::string name =
      graph_.nodes().empty() ? std::string() : node(owner_).name;
  step.info = {name,
               std::string(kind),
               std::string(implementation),
               owner_,
               is_reorder,
               /*is_loop=*/true};
  step.operands = std::move(operands);
  step.body = std::move(loop);
  program_.steps.push_back(std::move(step));
}

bool LoweringContext::TryAddLevelsLoop(const Copy& from, const Copy& to) {
  const std::vector<int64_t> dims = DescDims(to.desc);
  const bool fits =
      from.encoding == FloatEncoding() && to.encoding.IsLevels() &&
      dims.size() >= 3 && dims.size() <= 5 && dims[1] > 1 &&
      dims[1] <= kMostLevelChannels && IsRowMajor(from.desc) &&
      IsSameLayout(to.desc, ChannelsLastDesc(dims, to.encoding.type));
  if (!fits) return false;
  const ByteGrid grid = *ByteGridOf(to.encoding);
  const int64_t pixels =
      ElementCount(absl::Span<const int64_t>(dims).subspan(2));
  AddLoop(
      "reorder", VectorLoopIsa(), {Reads(from), Writes(to)},
      [=](absl::Span<char* const> operands) {
        LevelsChannelsLast(reinterpret_cast<const float*>(operands[0]), dims[0],
                           dims[1], pixels, grid, operands[1]);
        return absl::OkStatus();
      },
      /*is_reorder=*/true);
  return true;
}

absl::Status LoweringContext::AddConversion(const Copy& from, const Copy& to) {
  const std::vector<int64_t> dims = DescDims(to.desc);
  const bool is_row_major =
      IsDense(to.desc) ? IsRowMajor(to.desc) : IsRowMajor(from.desc);
  const auto new_copy = [&](const Encoding& encoding) {
    return NewCopy(encoding, is_row_major
                                 ? PlainDesc(dims, encoding.type)
                                 : ChannelsLastDesc(dims, encoding.type));
  };
  // Other layouts, and bfloat16, are left to reorders before and after.
  const auto is_fit = [&](const Copy& copy) {
    return copy.encoding.type != DataType::kBfloat16 && IsDense(copy.desc) &&
           IsRowMajor(copy.desc) == is_row_major;
  };
  const auto without_bfloat16 = [](const Encoding& encoding) {
    return encoding.IsLevels() ? encoding : FloatEncoding();
  };
  Copy source = from;
  if (!is_fit(from)) {
    source = new_copy(without_bfloat16(from.encoding));
    LATHE_RETURN_IF_ERROR(AddReorder(from, source));
  }
  const Copy result = is_fit(to) ? to : new_copy(without_bfloat16(to.encoding));
  const auto from_grid = ByteGridOf(source.encoding);
  const auto to_grid = ByteGridOf(result.encoding);
  const int64_t size = ElementCount(dims);
  AddLoop(
      "reorder", VectorLoopIsa(), {Reads(source), Writes(result)},
      [=](absl::Span<char* const> operands) {
        ConvertNumbers(operands[0], from_grid, size, to_grid, operands[1]);
        return absl::OkStatus();
      },
      /*is_reorder=*/true);
  if (is_fit(to)) return absl::OkStatus();
  return AddReorder(result, to);
}

absl::Status LoweringContext::AddReorder(const Copy& from, const Copy& to) {
  if (TryAddLevelsLoop(from, to)) return absl::OkStatus();
  const bool is_move = from.encoding == to.encoding;
  const bool has_zero_point =
      from.encoding.zero_point != 0 || to.encoding.zero_point != 0;
  if (!is_move && has_zero_point) return AddConversion(from, to);
  ReorderSpec spec;
  spec.source = from.desc;
  spec.destination = to.desc;
  // Levels move as they are.
  spec.scale = is_move ? 1 : from.encoding.scale / to.encoding.scale;
  LATHE_ASSIGN_OR_RETURN(const Kernel kernel, MakeReorder(spec));
  return AddKernel(
      "reorder", kernel,
      {Reads(DNNL_ARG_SRC, from, from.desc), Writes(DNNL_ARG_DST, to, to.desc)},
      /*is_reorder=*/true);
}

}  // namespace lathe

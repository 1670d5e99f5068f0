// The part of LoweringContext that makes buffers and steps.
#include <algorithm>
#include <cstring>
#include <memory>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "evaluator/lowering_context.h"
#include "evaluator/vector_loops.h"

namespace lathe {

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
  LATHE_ASSIGN_OR_RETURN(const Kernel reorder, MakeReorder(spec));
  auto memory = std::make_shared<AlignedBytes>(DescBytes(destination));
  LATHE_RETURN_IF_ERROR(ReorderNow(reorder, values, memory->data()));
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
  const ByteGrid grid = {to.encoding.scale, to.encoding.zero_point,
                         to.encoding.type == DataType::kInt8 ? -128 : 0};
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

absl::Status LoweringContext::AddReorder(const Copy& from, const Copy& to) {
  if (TryAddLevelsLoop(from, to)) return absl::OkStatus();
  ReorderSpec spec;
  spec.source = from.desc;
  spec.destination = to.desc;
  spec.scale = from.encoding.scale / to.encoding.scale;
  spec.source_zero_point = from.encoding.zero_point;
  spec.destination_zero_point = to.encoding.zero_point;
  if (from.encoding == to.encoding) {
    // Levels move as they are.
    spec.scale = 1;
    spec.source_zero_point = spec.destination_zero_point = 0;
  }
  LATHE_ASSIGN_OR_RETURN(const Kernel kernel, MakeReorder(spec));
  return AddKernel(
      "reorder", kernel,
      {Reads(DNNL_ARG_SRC, from, from.desc), Writes(DNNL_ARG_DST, to, to.desc)},
      /*is_reorder=*/true);
}

}  // namespace lathe

#include "evaluator/lowering_context.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status.h"

namespace lathe {
namespace {

// Operators whose output lies as their input does.
bool KeepsEncoding(const Node& node) {
  static const auto* ops = new std::set<std::string>{
      "Concat",  "DepthToSpace", "Flatten",  "GlobalMaxPool", "Identity",
      "MaxPool", "Pad",          "Reshape",  "Slice",         "SpaceToDepth",
      "Squeeze", "Transpose",    "Unsqueeze"};
  if (!node.domain.empty()) return false;
  if (node.op_type == "Resize" || node.op_type == "Upsample") {
    return node.StringOr("mode", "nearest") == "nearest" &&
           node.StringOr("coordinate_transformation_mode", "") !=
               "tf_crop_and_resize";
  }
  return ops->count(node.op_type) > 0;
}

// Operators with bfloat16 kernels.
bool HasBfloat16Kernel(const Node& node) {
  return node.op_type == "Conv" || node.op_type == "Gemm" ||
         node.op_type == "MatMul";
}

}  // namespace

LoweringContext::LoweringContext(const Graph& graph,
                                 const std::vector<ValueInfo>& infos,
                                 const ExecutorOptions& options)
    : graph_(graph),
      infos_(infos),
      options_(options),
      grids_(graph.values().size()),
      values_(graph.values().size()) {
  // Values stand before what they become, so the last come first.
  for (auto node = graph.nodes().rbegin(); node != graph.nodes().rend();
       ++node) {
    for (ValueId value : node->outputs) {
      if (value != kNoValue) grids_[value] = ImpliedGrid(value);
    }
  }
  for (ValueId value : graph.inputs()) grids_[value] = ImpliedGrid(value);
  DefineInputs();
}

const Tensor* LoweringContext::constant(ValueId value) const {
  if (value == kNoValue || !infos_[value].constant) return nullptr;
  return &*infos_[value].constant;
}

void LoweringContext::DefineInputs() {
  for (ValueId value : graph_.inputs()) {
    Copy copy;
    if (HasLayout(value)) {
      copy.encoding = FloatEncoding();
      copy.desc = PlainDesc(shape(value), DataType::kFloat32);
    } else {
      copy.encoding.type = type(value);
    }
    copy.location =
        NewBuffer(ElementCount(shape(value)) * ElementBytes(type(value)), true);
    program_.inputs.push_back(copy.location);
    Define(value, copy);
  }
}

std::optional<ActivationGrid> LoweringContext::ImpliedGrid(
    ValueId value) const {
  std::optional<ActivationGrid> implied = graph_.value(value).grid;
  const auto& consumers = graph_.Consumers(value);
  if (implied || graph_.IsOutput(value) || type(value) != DataType::kFloat32) {
    return implied;
  }
  for (int consumer : consumers) {
    const Node& node = graph_.nodes()[consumer];
    if (!KeepsEncoding(node)) return std::nullopt;
    const auto& grid = grids_[node.outputs[0]];
    // A Pad may put numbers in that are not on the grid.
    if (!grid || node.op_type == "Pad") return std::nullopt;
    if (implied && !(EncodingOf(*implied) == EncodingOf(*grid))) {
      return std::nullopt;
    }
    implied = grid;
  }
  return implied;
}

bool LoweringContext::WantsBfloat16(ValueId value) const {
  for (int consumer : graph_.Consumers(value)) {
    const Node& node = graph_.nodes()[consumer];
    if (HasBfloat16Kernel(node) && node.precision == v1::BF16) return true;
    if (KeepsEncoding(node) && !grids_[node.outputs[0]] &&
        WantsBfloat16(node.outputs[0])) {
      return true;
    }
  }
  return false;
}

Encoding LoweringContext::WantedEncoding(ValueId value) const {
  if (grids_[value]) return EncodingOf(*grids_[value]);
  if (WantsBfloat16(value)) return {DataType::kBfloat16, 1, 0};
  return FloatEncoding();
}

void LoweringContext::Remember(ValueId value, const Copy& copy) {
  values_[value].copies.push_back(copy);
  tenants_[Resolve(program_.buffers, copy.location).buffer].insert(value);
}

void LoweringContext::Define(ValueId value, const Copy& copy) {
  const auto& grid = grids_[value];
  const bool is_rounded = !grid || type(value) != DataType::kFloat32 ||
                          copy.encoding == EncodingOf(*grid);
  if (is_rounded) return Remember(value, copy);
  values_[value].unrounded = copy;
  tenants_[Resolve(program_.buffers, copy.location).buffer].insert(value);
}

const Copy* LoweringContext::Find(ValueId value, const Encoding& encoding,
                                  const MemoryDesc& desc) const {
  for (const Copy& copy : values_[value].copies) {
    if (copy.encoding == encoding && IsSameLayout(copy.desc, desc)) {
      return &copy;
    }
  }
  return nullptr;
}

absl::Status LoweringContext::EnsureRounded(ValueId value) {
  ValueState& state = values_[value];
  if (!state.copies.empty()) return absl::OkStatus();
  if (!state.unrounded) {
    return absl::InternalError(absl::StrCat("value ", graph_.value(value).name,
                                            " is read before it is computed"));
  }
  const Encoding encoding = EncodingOf(*grids_[value]);
  LATHE_ASSIGN_OR_RETURN(const MemoryDesc desc,
                         WithType(state.unrounded->desc, encoding.type));
  const Copy rounded = NewCopy(encoding, desc);
  LATHE_RETURN_IF_ERROR(AddReorder(*state.unrounded, rounded));
  Remember(value, rounded);
  return absl::OkStatus();
}

absl::StatusOr<Encoding> LoweringContext::StoredEncoding(ValueId value) const {
  const ValueState& state = values_[value];
  if (!state.copies.empty()) return state.copies.front().encoding;
  if (state.unrounded) return EncodingOf(*grids_[value]);
  Encoding encoding;
  encoding.type = type(value);
  return encoding;
}

absl::StatusOr<Copy> LoweringContext::Stored(ValueId value) {
  if (constant(value) != nullptr) return FetchPlain(value);
  LATHE_RETURN_IF_ERROR(EnsureRounded(value));
  return values_[value].copies.front();
}

absl::StatusOr<Copy> LoweringContext::SourceFor(ValueId value,
                                                const Encoding& encoding) {
  if (constant(value) != nullptr) return FetchPlain(value);
  // Rounding and reordering are one step where they can be.
  const ValueState& state = values_[value];
  const auto& grid = grids_[value];
  if (state.copies.empty() && state.unrounded && grid &&
      encoding == EncodingOf(*grid)) {
    return *state.unrounded;
  }
  LATHE_RETURN_IF_ERROR(EnsureRounded(value));
  for (const Copy& copy : state.copies) {
    if (copy.encoding == encoding) return copy;
  }
  return state.copies.front();
}

absl::StatusOr<Copy> LoweringContext::FetchConstant(ValueId value,
                                                    const Encoding& encoding,
                                                    const MemoryDesc& desc) {
  const Tensor& tensor = *constant(value);
  const MemoryDesc plain = PlainDesc(tensor.shape(), DataType::kFloat32);
  Copy copy{encoding, desc, {}};
  LATHE_ASSIGN_OR_RETURN(
      copy.location, NewReorderedConstant(tensor.bytes().data(), plain, desc));
  Remember(value, copy);
  return copy;
}

absl::StatusOr<Copy> LoweringContext::Fetch(ValueId value,
                                            const Encoding& encoding,
                                            const MemoryDesc& desc) {
  if (type(value) != DataType::kFloat32) {
    return absl::UnimplementedError(
        absl::StrCat("value ", graph_.value(value).name, " of type ",
                     DataTypeName(type(value)), " where float32 is needed"));
  }
  if (const Copy* found = Find(value, encoding, desc)) {
    return Copy{encoding, desc, found->location};
  }
  if (constant(value) != nullptr && !encoding.IsLevels()) {
    return FetchConstant(value, encoding, desc);
  }
  LATHE_ASSIGN_OR_RETURN(const Copy source, SourceFor(value, encoding));
  const Copy destination = NewCopy(encoding, desc);
  LATHE_RETURN_IF_ERROR(AddReorder(source, destination));
  Remember(value, destination);
  return destination;
}

absl::StatusOr<Copy> LoweringContext::FetchPlain(ValueId value) {
  if (HasLayout(value)) {
    return Fetch(value, FloatEncoding(),
                 PlainDesc(shape(value), DataType::kFloat32));
  }
  ValueState& state = values_[value];
  if (state.copies.empty() && constant(value) != nullptr) {
    const Tensor& tensor = *constant(value);
    Copy copy;
    copy.encoding.type = tensor.type();
    copy.location = NewConstant(tensor.bytes().data(), tensor.bytes().size());
    Remember(value, copy);
  }
  if (state.copies.empty()) {
    return absl::InternalError(absl::StrCat("value ", graph_.value(value).name,
                                            " is read before it is computed"));
  }
  return state.copies.front();
}

int LoweringContext::LastReader(ValueId value) const {
  int last = -1;
  for (int consumer : graph_.Consumers(value)) {
    const ValueId output = graph_.nodes()[consumer].outputs[0];
    const bool is_later = output != kNoValue && IsDeferred(output);
    last = std::max(last, is_later ? LastReader(output) : consumer);
  }
  return last;
}

bool LoweringContext::IsFreeAfterCurrentNode(ValueId value,
                                             const Copy& copy) const {
  const int root = Resolve(program_.buffers, copy.location).buffer;
  const Buffer& buffer = program_.buffers[root];
  if (buffer.is_persistent || buffer.constant) return false;
  const auto& inputs = *current_inputs_;
  for (ValueId tenant : tenants_.at(root)) {
    if (graph_.IsOutput(tenant)) return false;
    if (LastReader(tenant) > node_) return false;
    const auto reads = std::count(inputs.begin(), inputs.end(), tenant);
    if (reads > (tenant == value ? 1 : 0)) return false;
  }
  return true;
}

absl::StatusOr<Copy> LoweringContext::FetchForUpdate(ValueId value,
                                                     const Encoding& encoding,
                                                     const MemoryDesc& desc) {
  const Copy* found =
      constant(value) == nullptr ? Find(value, encoding, desc) : nullptr;
  if (found != nullptr && IsFreeAfterCurrentNode(value, *found)) {
    return Copy{encoding, desc, found->location};
  }
  // A reader that comes later may share a reordered copy; memory that is
  // overwritten must not be found by it, so it is not remembered.
  LATHE_ASSIGN_OR_RETURN(const Copy source, SourceFor(value, encoding));
  const Copy fresh = NewCopy(encoding, desc);
  LATHE_RETURN_IF_ERROR(AddReorder(source, fresh));
  return fresh;
}

absl::Status LoweringContext::MakeOutput(ValueId value, Location* location) {
  LATHE_ASSIGN_OR_RETURN(const Copy copy, FetchPlain(value));
  const Location root = Resolve(program_.buffers, copy.location);
  Buffer& buffer = program_.buffers[root.buffer];
  if (!buffer.is_persistent && !buffer.constant) {
    buffer.is_persistent = true;
    *location = copy.location;
    return absl::OkStatus();
  }
  // An input, a constant, or an output already.
  const int64_t bytes = ElementCount(shape(value)) * ElementBytes(type(value));
  Copy own = copy;
  own.location = NewBuffer(bytes, /*is_persistent=*/true);
  *location = own.location;
  AddLoop("copy", "reference", {Reads(copy), Writes(own)},
          [bytes](absl::Span<char* const> operands) {
            std::memcpy(operands[1], operands[0], bytes);
            return absl::OkStatus();
          });
  return absl::OkStatus();
}

absl::StatusOr<Program> LoweringContext::Finish() {
  for (ValueId value : graph_.outputs()) {
    const auto producer = graph_.Producer(value);
    if (producer) BeginNode(*producer);
    Location location;
    LATHE_RETURN_IF_ERROR(MakeOutput(value, &location));
    program_.outputs.push_back(location);
  }
  return std::move(program_);
}

}  // namespace lathe

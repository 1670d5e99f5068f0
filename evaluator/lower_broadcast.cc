// Where, and arithmetic of two values, broadcast in any way: row by row.
#include <algorithm>
#include <array>
#include <cstdint>
#include <map>
#include <numeric>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "base/status.h"
#include "evaluator/broadcast_rows.h"
#include "evaluator/epilogue.h"
#include "evaluator/lower_ops.h"
#include "evaluator/vector_loops.h"

namespace lathe {
namespace {

// A dimension that is walked: how many steps, and how far each input moves.
template <size_t kInputs>
struct WalkedDimension {
  int64_t extent = 1;
  std::array<int64_t, kInputs> steps = {};
};

// Outermost first, never empty. Inputs move by one element or not at all along
// the innermost one.
template <size_t kInputs>
using BroadcastWalk = std::vector<WalkedDimension<kInputs>>;

// Row-major steps of a value that is read as if it had `out`.
std::vector<int64_t> BroadcastSteps(const Shape& shape, const Shape& out) {
  std::vector<int64_t> steps(out.size(), 0);
  int64_t step = 1;
  for (size_t d = shape.size(); d-- > 0;) {
    if (shape[d] != 1) steps[out.size() - shape.size() + d] = step;
    step *= shape[d];
  }
  return steps;
}

// How each input moves along each dimension.
template <size_t kInputs>
using WalkSteps = std::array<std::vector<int64_t>, kInputs>;

// Neighbouring dimensions that all inputs walk evenly are one.
template <size_t kInputs>
BroadcastWalk<kInputs> WalkOf(const Shape& out,
                              const WalkSteps<kInputs>& steps) {
  BroadcastWalk<kInputs> walk;
  for (size_t d = 0; d < out.size(); ++d) {
    if (out[d] == 1) continue;
    WalkedDimension<kInputs> dimension;
    dimension.extent = out[d];
    for (size_t i = 0; i < kInputs; ++i) dimension.steps[i] = steps[i][d];
    bool is_even = !walk.empty();
    for (size_t i = 0; i < kInputs && is_even; ++i) {
      is_even = walk.back().steps[i] == dimension.steps[i] * out[d];
    }
    if (is_even) {
      walk.back().extent *= out[d];
      walk.back().steps = dimension.steps;
    } else {
      walk.push_back(dimension);
    }
  }
  if (walk.empty()) walk.push_back({});
  return walk;
}

// Of inputs that lie row-major.
template <size_t kInputs>
BroadcastWalk<kInputs> RowMajorWalk(const LoweringContext& context,
                                    const Node& node) {
  const Shape& out = context.shape(node.outputs[0]);
  WalkSteps<kInputs> steps;
  for (size_t i = 0; i < kInputs; ++i) {
    steps[i] = BroadcastSteps(context.shape(node.inputs[i]), out);
  }
  return WalkOf<kInputs>(out, steps);
}

// Calls row(innermost dimension, offsets of the inputs, out) for each row;
// `out` is where the result goes on.
template <size_t kInputs, typename T, typename Row>
T* WalkRows(const BroadcastWalk<kInputs>& walk, size_t depth,
            std::array<int64_t, kInputs> at, const Row& row, T* out) {
  const WalkedDimension<kInputs>& dimension = walk[depth];
  if (depth + 1 == walk.size()) {
    row(dimension, at, out);
    return out + dimension.extent;
  }
  for (int64_t i = 0; i < dimension.extent; ++i) {
    out = WalkRows(walk, depth + 1, at, row, out);
    for (size_t k = 0; k < kInputs; ++k) at[k] += dimension.steps[k];
  }
  return out;
}

// Operands: condition, yes, no, result; T has the size of an element.
template <typename T>
Loop WhereLoop(BroadcastWalk<3> walk) {
  return [walk = std::move(walk)](absl::Span<char* const> operands) {
    const auto* condition = reinterpret_cast<const uint8_t*>(operands[0]);
    const auto* yes = reinterpret_cast<const T*>(operands[1]);
    const auto* no = reinterpret_cast<const T*>(operands[2]);
    const auto row = [&](const WalkedDimension<3>& dimension,
                         const std::array<int64_t, 3>& at, T* out) {
      const auto& steps = dimension.steps;
      if constexpr (sizeof(T) == sizeof(int32_t)) {
        static const ChoiceRow choose = ChoiceRowForWords();
        choose({condition + at[0], steps[0] == 0}, {yes + at[1], steps[1] == 0},
               {no + at[2], steps[2] == 0}, dimension.extent, out);
      } else {
        for (int64_t i = 0; i < dimension.extent; ++i) {
          out[i] = condition[at[0] + i * steps[0]] != 0
                       ? yes[at[1] + i * steps[1]]
                       : no[at[2] + i * steps[2]];
        }
      }
    };
    WalkRows(walk, 0, {}, row, reinterpret_cast<T*>(operands[3]));
    return absl::OkStatus();
  };
}

// Operands: both values, result.
Loop ArithmeticLoop(BroadcastWalk<2> walk, ArithmeticRow compute) {
  return [walk = std::move(walk), compute](absl::Span<char* const> operands) {
    const auto* a = reinterpret_cast<const float*>(operands[0]);
    const auto* b = reinterpret_cast<const float*>(operands[1]);
    const auto row = [&](const WalkedDimension<2>& dimension,
                         const std::array<int64_t, 2>& at, float* out) {
      compute({a + at[0], dimension.steps[0] == 0},
              {b + at[1], dimension.steps[1] == 0}, dimension.extent, out);
    };
    WalkRows(walk, 0, {}, row, reinterpret_cast<float*>(operands[2]));
    return absl::OkStatus();
  };
}

std::optional<Arithmetic> ArithmeticOf(const std::string& op) {
  static const auto* known = new std::map<std::string, Arithmetic>{
      {"Add", Arithmetic::kAdd},      {"Sub", Arithmetic::kSubtract},
      {"Mul", Arithmetic::kMultiply}, {"Div", Arithmetic::kDivide},
      {"Max", Arithmetic::kMost},     {"Min", Arithmetic::kLeast}};
  const auto found = known->find(op);
  if (found == known->end()) return std::nullopt;
  return found->second;
}

// The first `count` inputs, row-major.
absl::StatusOr<std::vector<Operand>> ReadInputs(LoweringContext& context,
                                                const Node& node,
                                                size_t count) {
  std::vector<Operand> operands;
  for (size_t i = 0; i < count; ++i) {
    LATHE_ASSIGN_OR_RETURN(const Copy copy, context.FetchPlain(node.inputs[i]));
    operands.push_back(Reads(copy));
  }
  return operands;
}

// Numbers up to which oneDNN's kernels take longer to be called than to run,
// and threads longer to start.
constexpr int64_t kMostSmallNumbers = int64_t{1} << 15;

bool IsDense(const Copy& copy, const Shape& shape) {
  return copy.encoding == FloatEncoding() && DescribeLayout(copy.desc) &&
         DescBytes(copy.desc) ==
             ElementCount(shape) * static_cast<int64_t>(sizeof(float));
}

// The walk in the order of a value of the whole shape, input `full`, that lies
// as `layout` says; the other input lies row-major. None where the other one
// moves by more than an element along the innermost dimension.
std::optional<BroadcastWalk<2>> WalkInOrderOf(const Layout& layout, size_t full,
                                              const Shape& other) {
  const Shape& shape = layout.dims;
  std::vector<size_t> order(shape.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) {
    return layout.strides[a] > layout.strides[b];
  });
  const std::vector<int64_t> by_other = BroadcastSteps(other, shape);
  Shape extents;
  WalkSteps<2> steps;
  for (size_t d : order) {
    extents.push_back(shape[d]);
    steps[full].push_back(layout.strides[d]);
    steps[1 - full].push_back(by_other[d]);
  }
  BroadcastWalk<2> walk = WalkOf<2>(extents, steps);
  if (walk.back().steps[1 - full] > 1) return std::nullopt;
  return walk;
}

// Which input has the output's shape and numbers of its own; the one that lies
// row-major if both have.
std::optional<size_t> FullInput(LoweringContext& context, const Node& node) {
  std::optional<size_t> full;
  for (size_t i : {0, 1}) {
    const ValueId value = node.inputs[i];
    if (context.constant(value) != nullptr ||
        context.shape(value) != context.shape(node.outputs[0])) {
      continue;
    }
    const auto stored = context.Stored(value);
    if (!stored.ok() || !IsDense(*stored, context.shape(value))) continue;
    if (!full || IsRowMajor(stored->desc)) full = i;
  }
  return full;
}

}  // namespace

bool IsSmallArithmetic(const LoweringContext& context, const Node& node) {
  const Shape& out = context.shape(node.outputs[0]);
  return ArithmeticOf(node.op_type) && node.domain.empty() &&
         node.inputs.size() == 2 && node.post_ops.empty() &&
         context.type(node.outputs[0]) == DataType::kFloat32 &&
         ElementCount(out) <= kMostSmallNumbers;
}

absl::StatusOr<bool> LowerSmallArithmetic(LoweringContext& context,
                                          const Node& node) {
  if (!IsSmallArithmetic(context, node)) return false;
  const Shape& shape = context.shape(node.outputs[0]);
  const std::optional<size_t> full = FullInput(context, node);
  if (!full) return false;
  const ValueId other = node.inputs[1 - *full];
  LATHE_ASSIGN_OR_RETURN(const Encoding encoding,
                         context.StoredEncoding(other));
  if (!(encoding == FloatEncoding())) return false;
  LATHE_ASSIGN_OR_RETURN(const Copy a, context.Stored(node.inputs[*full]));
  const int64_t size = ElementCount(shape);
  std::optional<BroadcastWalk<2>> walk;
  Copy b;
  if (context.shape(other) == shape) {
    LATHE_ASSIGN_OR_RETURN(b, context.Fetch(other, FloatEncoding(), a.desc));
    walk = BroadcastWalk<2>{{size, {1, 1}}};
  } else if (DescribeLayout(a.desc)->channel_block == 1) {
    walk = WalkInOrderOf(*DescribeLayout(a.desc), *full, context.shape(other));
    if (!walk) return false;
    LATHE_ASSIGN_OR_RETURN(b, context.FetchPlain(other));
  }
  if (!walk) return false;
  const Copy destination = context.NewCopy(FloatEncoding(), a.desc);
  const bool is_first = *full == 0;
  context.AddLoop(
      absl::AsciiStrToLower(node.op_type), VectorLoopIsa(),
      {Reads(is_first ? a : b), Reads(is_first ? b : a), Writes(destination)},
      ArithmeticLoop(*std::move(walk),
                     ArithmeticRowFor(*ArithmeticOf(node.op_type))));
  context.Define(node.outputs[0], destination);
  return true;
}

absl::StatusOr<bool> LowerWhere(LoweringContext& context, const Node& node) {
  const ValueId output = node.outputs[0];
  const size_t bytes = ElementBytes(context.type(output));
  if (!node.post_ops.empty() || (bytes != 4 && bytes != 8)) return false;
  LATHE_ASSIGN_OR_RETURN(std::vector<Operand> operands,
                         ReadInputs(context, node, 3));
  const Copy destination = context.NewRawCopy(output);
  operands.push_back(Writes(destination));
  BroadcastWalk<3> walk = RowMajorWalk<3>(context, node);
  context.AddLoop("where", bytes == 4 ? VectorLoopIsa() : "loop",
                  std::move(operands),
                  bytes == 4 ? WhereLoop<int32_t>(std::move(walk))
                             : WhereLoop<int64_t>(std::move(walk)));
  context.Define(output, destination);
  return true;
}

absl::StatusOr<bool> LowerBroadcast(LoweringContext& context,
                                    const Node& node) {
  const auto op = ArithmeticOf(node.op_type);
  if (!op) return false;
  LATHE_ASSIGN_OR_RETURN(std::vector<Operand> operands,
                         ReadInputs(context, node, 2));
  const Copy destination = context.NewRawCopy(node.outputs[0]);
  operands.push_back(Writes(destination));
  context.AddLoop(
      absl::AsciiStrToLower(node.op_type), VectorLoopIsa(), std::move(operands),
      ArithmeticLoop(RowMajorWalk<2>(context, node), ArithmeticRowFor(*op)));
  LATHE_RETURN_IF_ERROR(AddPostOpSteps(context, node, destination));
  context.Define(node.outputs[0], destination);
  return true;
}

}  // namespace lathe

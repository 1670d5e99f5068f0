// Where, broadcast in any way.
#include <array>
#include <cstdint>
#include <utility>
#include <vector>

#include "base/status.h"
#include "evaluator/lower_ops.h"

namespace lathe {
namespace {

// Condition, yes, no.
constexpr size_t kInputs = 3;

// A dimension that is walked: how many steps, and how far each input moves.
struct WalkedDimension {
  int64_t extent = 1;
  std::array<int64_t, kInputs> steps = {};
};

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

// Outermost first; neighbours that all inputs walk evenly are one.
std::vector<WalkedDimension> MergedDimensions(
    const Shape& out, const std::array<std::vector<int64_t>, kInputs>& steps) {
  std::vector<WalkedDimension> merged;
  for (size_t d = 0; d < out.size(); ++d) {
    if (out[d] == 1) continue;
    WalkedDimension dimension;
    dimension.extent = out[d];
    for (size_t i = 0; i < kInputs; ++i) dimension.steps[i] = steps[i][d];
    bool is_even = !merged.empty();
    for (size_t i = 0; i < kInputs && is_even; ++i) {
      is_even = merged.back().steps[i] == dimension.steps[i] * out[d];
    }
    if (is_even) {
      merged.back().extent *= out[d];
      merged.back().steps = dimension.steps;
    } else {
      merged.push_back(dimension);
    }
  }
  if (merged.empty()) merged.push_back({});
  return merged;
}

// T has the size of an element.
template <typename T>
struct WhereLoop {
  std::vector<WalkedDimension> dimensions;

  using Offsets = std::array<int64_t, kInputs>;

  absl::Status operator()(absl::Span<char* const> operands) const {
    Walk(0, {}, operands, reinterpret_cast<T*>(operands[kInputs]));
    return absl::OkStatus();
  }

  // Returns where the next numbers go.
  T* Walk(size_t depth, Offsets at, absl::Span<char* const> operands,
          T* out) const {
    const WalkedDimension& dimension = dimensions[depth];
    if (depth + 1 == dimensions.size()) {
      Choose(dimension, reinterpret_cast<const uint8_t*>(operands[0]) + at[0],
             reinterpret_cast<const T*>(operands[1]) + at[1],
             reinterpret_cast<const T*>(operands[2]) + at[2], out);
      return out + dimension.extent;
    }
    for (int64_t i = 0; i < dimension.extent; ++i) {
      out = Walk(depth + 1, at, operands, out);
      for (size_t k = 0; k < kInputs; ++k) at[k] += dimension.steps[k];
    }
    return out;
  }

  static void Choose(const WalkedDimension& dimension, const uint8_t* condition,
                     const T* yes, const T* no, T* out) {
    const auto [by_condition, by_yes, by_no] = dimension.steps;
    for (int64_t i = 0; i < dimension.extent; ++i) {
      const T a = yes[i * by_yes];
      const T b = no[i * by_no];
      out[i] = condition[i * by_condition] != 0 ? a : b;
    }
  }
};

}  // namespace

absl::StatusOr<bool> LowerWhere(LoweringContext& context, const Node& node) {
  const ValueId output = node.outputs[0];
  const size_t bytes = ElementBytes(context.type(output));
  if (!node.post_ops.empty() || (bytes != 4 && bytes != 8)) return false;
  std::array<std::vector<int64_t>, kInputs> steps;
  std::vector<Operand> operands;
  for (size_t i = 0; i < kInputs; ++i) {
    steps[i] =
        BroadcastSteps(context.shape(node.inputs[i]), context.shape(output));
    LATHE_ASSIGN_OR_RETURN(const Copy copy, context.FetchPlain(node.inputs[i]));
    operands.push_back(Reads(copy));
  }
  const Copy destination = context.NewRawCopy(output);
  operands.push_back(Writes(destination));
  std::vector<WalkedDimension> dimensions =
      MergedDimensions(context.shape(output), steps);
  Loop loop;
  if (bytes == 4) {
    loop = WhereLoop<uint32_t>{std::move(dimensions)};
  } else {
    loop = WhereLoop<uint64_t>{std::move(dimensions)};
  }
  context.AddLoop("where", "loop", std::move(operands), std::move(loop));
  context.Define(output, destination);
  return true;
}

}  // namespace lathe

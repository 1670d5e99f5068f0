// Operators along an axis or over a triangle: Trilu and CumSum; Einsum and
// Swish.
#include <algorithm>
#include <cmath>
#include <map>
#include <string>
#include <type_traits>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/status.h"
#include "compressor/numeric_cast.h"
#include "compressor/op_shapes.h"
#include "compressor/operator_def.h"

namespace lathe {
namespace {

using Values = std::vector<OpValue>;
using Tensors = std::vector<Tensor>;

// -------------------------------------------------------------------- Trilu

absl::StatusOr<int64_t> DiagonalOf(const OpCall& call) {
  if (!call.Has(1)) return 0;
  LATHE_ASSIGN_OR_RETURN(const std::vector<int64_t> k, call.IntsOf(1, "k"));
  if (k.size() != 1) return call.Invalid("k (input 1) is not one number");
  return k[0];
}

absl::StatusOr<Values> TriluRule(const OpCall& call) {
  if (call.Rank(0) < 2) return call.Invalid("the input is not a matrix");
  LATHE_RETURN_IF_ERROR(DiagonalOf(call).status());
  return LikeInput(call);
}

absl::StatusOr<Tensors> TriluKernel(const OpCall& call, const Values& outputs) {
  LATHE_ASSIGN_OR_RETURN(const int64_t diagonal, DiagonalOf(call));
  const bool is_upper = call.node().IntOr("upper", 1) != 0;
  const Shape& shape = outputs[0].shape;
  const int64_t columns = shape.back();
  const int64_t rows = shape[shape.size() - 2];
  return VisitType(outputs[0].type, [&](auto zero) {
    using T = decltype(zero);
    TensorBuilder<T> out(outputs[0]);
    const T* in = Elements<T>(call.TensorOf(0));
    for (int64_t i = 0; i < out.size(); ++i) {
      const int64_t above = i % columns - i / columns % rows;
      const bool is_kept = is_upper ? above >= diagonal : above <= diagonal;
      out.data()[i] = is_kept ? in[i] : T(0);
    }
    return Only(std::move(out).Build());
  });
}

// ------------------------------------------------------------------- CumSum

absl::StatusOr<int64_t> CumSumAxis(const OpCall& call) {
  LATHE_ASSIGN_OR_RETURN(const std::vector<int64_t> axis,
                         call.IntsOf(1, "axis"));
  if (axis.size() != 1) return call.Invalid("axis (input 1) is not one number");
  return NormalizeAxis(call, axis[0], call.Rank(0));
}

absl::StatusOr<Values> CumSumRule(const OpCall& call) {
  LATHE_RETURN_IF_ERROR(CumSumAxis(call).status());
  return LikeInput(call);
}

absl::StatusOr<Tensors> CumSumKernel(const OpCall& call,
                                     const Values& outputs) {
  LATHE_ASSIGN_OR_RETURN(const int64_t axis, CumSumAxis(call));
  const bool is_exclusive = call.node().IntOr("exclusive", 0) != 0;
  const bool is_reverse = call.node().IntOr("reverse", 0) != 0;
  const Shape& shape = outputs[0].shape;
  const int64_t size = shape[axis];
  const int64_t inner = CountRange(shape, axis + 1, shape.size());
  return VisitType(outputs[0].type, [&](auto zero) {
    using T = decltype(zero);
    TensorBuilder<T> out(outputs[0]);
    const T* in = Elements<T>(call.TensorOf(0));
    for (int64_t row = 0; row < out.size() / std::max<int64_t>(size, 1);
         ++row) {
      const int64_t first = row / inner * size * inner + row % inner;
      T sum = 0;
      for (int64_t k = 0; k < size; ++k) {
        const int64_t at = first + (is_reverse ? size - 1 - k : k) * inner;
        if (is_exclusive) out.data()[at] = sum;
        if constexpr (std::is_integral_v<T>) {
          sum = WrapCast<T>(static_cast<uint64_t>(sum) +
                            static_cast<uint64_t>(in[at]));
        } else {
          sum += in[at];
        }
        if (!is_exclusive) out.data()[at] = sum;
      }
    }
    return Only(std::move(out).Build());
  });
}

// -------------------------------------------------------------------- Swish

absl::StatusOr<Tensors> SwishKernel(const OpCall& call, const Values& outputs) {
  const double alpha = call.node().FloatOr("alpha", 1);
  const auto in = call.ValuesOf<float>(0);
  TensorBuilder<float> out(outputs[0]);
  std::transform(in.begin(), in.end(), out.data(), [alpha](float x) {
    return static_cast<float>(x / (1 + std::exp(-alpha * x)));
  });
  return Only(std::move(out).Build());
}

// ------------------------------------------------------------------- Einsum

// Offsets of all terms of a sum are kept: 8 MiB for each input.
constexpr double kMostTerms = 1 << 20;

// An equation with one letter a dimension.
struct Einsum {
  std::vector<std::string> inputs;
  std::string output;
  // All letters, those of the output first, and their sizes.
  std::string letters;
  std::map<char, int64_t> sizes;
};

// The output that an equation without "->" means: letters that stand once, in
// their order.
std::string ImpliedOutput(const std::vector<std::string>& inputs) {
  std::map<char, int> counts;
  for (const std::string& input : inputs) {
    for (const char letter : input) ++counts[letter];
  }
  std::string output;
  for (const auto& [letter, count] : counts) {
    if (count == 1) output.push_back(letter);
  }
  return output;
}

absl::Status ReadSizes(const OpCall& call, Einsum& einsum) {
  for (size_t i = 0; i < einsum.inputs.size(); ++i) {
    const Shape& shape = call.ShapeOf(static_cast<int>(i));
    if (einsum.inputs[i].size() != shape.size()) {
      return call.Invalid(absl::StrCat("term \"", einsum.inputs[i],
                                       "\" does not fit ",
                                       ShapeToString(shape)));
    }
    for (size_t d = 0; d < shape.size(); ++d) {
      const auto known = einsum.sizes.emplace(einsum.inputs[i][d], shape[d]);
      if (known.first->second != shape[d]) {
        return call.Invalid(absl::StrCat(
            "letter ", std::string(1, einsum.inputs[i][d]), " stands for ",
            known.first->second, " and ", shape[d]));
      }
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<Einsum> ParseEinsum(const OpCall& call) {
  std::string equation = call.node().StringOr("equation", "");
  equation.erase(std::remove(equation.begin(), equation.end(), ' '),
                 equation.end());
  if (equation.find('.') != std::string::npos) {
    return call.Unsupported("an ellipsis in the equation; use letters only");
  }
  Einsum einsum;
  const size_t arrow = equation.find("->");
  einsum.inputs = absl::StrSplit(equation.substr(0, arrow), ',');
  if (static_cast<int>(einsum.inputs.size()) != call.InputCount()) {
    return call.Invalid(absl::StrCat("equation \"", equation, "\" for ",
                                     call.InputCount(), " inputs"));
  }
  einsum.output = arrow == std::string::npos ? ImpliedOutput(einsum.inputs)
                                             : equation.substr(arrow + 2);
  LATHE_RETURN_IF_ERROR(ReadSizes(call, einsum));
  einsum.letters = einsum.output;
  for (const char letter : einsum.output) {
    if (einsum.sizes.count(letter) == 0 ||
        std::count(einsum.output.begin(), einsum.output.end(), letter) > 1) {
      return call.Invalid(absl::StrCat("output \"", einsum.output, "\""));
    }
  }
  double terms = 1;
  for (const auto& [letter, size] : einsum.sizes) {
    if (einsum.output.find(letter) != std::string::npos) continue;
    einsum.letters.push_back(letter);
    terms *= static_cast<double>(size);
  }
  if (terms > kMostTerms) {
    return call.Unsupported(
        absl::StrCat("a sum of ", terms, " terms; use MatMul"));
  }
  return einsum;
}

absl::StatusOr<Values> EinsumRule(const OpCall& call) {
  LATHE_ASSIGN_OR_RETURN(const Einsum einsum, ParseEinsum(call));
  Shape shape;
  for (const char letter : einsum.output) {
    shape.push_back(einsum.sizes.at(letter));
  }
  return Values{{DataType::kFloat32, std::move(shape)}};
}

// Where each combination of letters[first, last) lies in input `i`, the other
// letters being 0.
std::vector<int64_t> OffsetsOf(const OpCall& call, const Einsum& einsum, int i,
                               size_t first, size_t last) {
  const std::vector<int64_t> own = Strides(call.ShapeOf(i));
  Shape walk;
  std::vector<int64_t> strides;
  for (size_t l = first; l < last; ++l) {
    const char letter = einsum.letters[l];
    walk.push_back(einsum.sizes.at(letter));
    strides.push_back(0);
    for (size_t d = 0; d < own.size(); ++d) {
      if (einsum.inputs[i][d] == letter) strides.back() += own[d];
    }
  }
  std::vector<int64_t> offsets(ElementCount(walk));
  WalkStrided<1>(walk, {strides},
                 [&](int64_t element, const std::array<int64_t, 1>& at) {
                   offsets[element] = at[0];
                 });
  return offsets;
}

absl::StatusOr<Tensors> EinsumKernel(const OpCall& call,
                                     const Values& outputs) {
  LATHE_ASSIGN_OR_RETURN(const Einsum einsum, ParseEinsum(call));
  const size_t kept = einsum.output.size();
  std::vector<std::vector<int64_t>> starts;
  std::vector<std::vector<int64_t>> steps;
  for (int i = 0; i < call.InputCount(); ++i) {
    starts.push_back(OffsetsOf(call, einsum, i, 0, kept));
    steps.push_back(OffsetsOf(call, einsum, i, kept, einsum.letters.size()));
  }
  TensorBuilder<float> out(outputs[0]);
  for (int64_t o = 0; o < out.size(); ++o) {
    double sum = 0;
    for (size_t k = 0; k < steps[0].size(); ++k) {
      double product = 1;
      for (int i = 0; i < call.InputCount(); ++i) {
        product *= call.ValuesOf<float>(i)[starts[i][o] + steps[i][k]];
      }
      sum += product;
    }
    out.data()[o] = static_cast<float>(sum);
  }
  return Only(std::move(out).Build());
}

}  // namespace

absl::Span<const OperatorDef> SequenceOperators() {
  static constexpr OperatorDef kOperators[] = {
      {"Trilu", 1, 2, OpTypes::kAny, TriluRule, TriluKernel},
      {"CumSum", 2, 2, OpTypes::kAny, CumSumRule, CumSumKernel},
      {"Swish", 1, 1, OpTypes::kFloat32, LikeInput, SwishKernel},
      {"Einsum", 1, 8, OpTypes::kFloat32, EinsumRule, EinsumKernel, true},
  };
  return kOperators;
}

}  // namespace lathe

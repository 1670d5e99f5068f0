// Pad: constant, reflected, edge or wrapped; negative padding crops.
#include <algorithm>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "compressor/op_shapes.h"
#include "compressor/operator_def.h"

namespace lathe {
namespace {

using Values = std::vector<OpValue>;
using Tensors = std::vector<Tensor>;

constexpr int64_t kMostSize = int64_t{1} << 31;

struct Padding {
  std::vector<int64_t> begin;
  std::vector<int64_t> end;
};

absl::StatusOr<Padding> ResolvePadding(const OpCall& call) {
  const int64_t rank = call.Rank(0);
  LATHE_ASSIGN_OR_RETURN(const auto pads,
                         call.IntsOfAttributeOrInput("pads", 1));
  std::vector<int64_t> axes;
  for (int64_t d = 0; d < rank; ++d) axes.push_back(d);
  if (call.Has(3)) {
    LATHE_ASSIGN_OR_RETURN(axes, call.IntsOf(3, "axes"));
    LATHE_RETURN_IF_ERROR(NormalizeAxes(call, axes, rank).status());
  }
  if (!pads.has_value() || pads->size() != 2 * axes.size()) {
    return call.Invalid("pads does not have two numbers for each axis");
  }
  Padding padding{std::vector<int64_t>(rank, 0), std::vector<int64_t>(rank, 0)};
  for (size_t i = 0; i < axes.size(); ++i) {
    LATHE_ASSIGN_OR_RETURN(const int64_t d, NormalizeAxis(call, axes[i], rank));
    padding.begin[d] = (*pads)[i];
    padding.end[d] = (*pads)[i + axes.size()];
    for (const int64_t pad : {padding.begin[d], padding.end[d]}) {
      if (pad < -kMostSize || pad > kMostSize) {
        return call.Invalid(absl::StrCat("a padding of ", pad));
      }
    }
  }
  return padding;
}

absl::StatusOr<Values> PadRule(const OpCall& call) {
  LATHE_ASSIGN_OR_RETURN(const Padding padding, ResolvePadding(call));
  const std::string mode = call.node().StringOr("mode", "constant");
  if (mode != "constant" && mode != "reflect" && mode != "edge" &&
      mode != "wrap") {
    return call.Unsupported(absl::StrCat("mode = \"", mode, "\""));
  }
  if (call.Has(2) && (call.TypeOf(2) != call.TypeOf(0) ||
                      ElementCount(call.ShapeOf(2)) != 1)) {
    return call.Invalid("the padding value is not one number of its type");
  }
  OpValue out = call.In(0);
  for (size_t d = 0; d < out.shape.size(); ++d) {
    const int64_t size = out.shape[d];
    if (mode != "constant" && size == 0) {
      return call.Invalid(absl::StrCat("dimension ", d, " is empty"));
    }
    out.shape[d] += padding.begin[d] + padding.end[d];
    if (out.shape[d] < 0) {
      return call.Invalid(
          absl::StrCat("dimension ", d, " would be ", out.shape[d]));
    }
  }
  return Values{out};
}

constexpr int64_t kOutside = -1;

int64_t PadSource(const std::string& mode, int64_t at, int64_t size) {
  if (at >= 0 && at < size) return at;
  if (mode == "constant") return kOutside;
  if (mode == "edge") return at < 0 ? 0 : size - 1;
  if (mode == "wrap") return (at % size + size) % size;
  if (size == 1) return 0;
  const int64_t period = 2 * (size - 1);
  const int64_t phase = (at % period + period) % period;
  return phase < size ? phase : period - phase;
}

// For every dimension and output index the input's offset, or kOutside.
std::vector<std::vector<int64_t>> PadSources(const OpCall& call,
                                             const Padding& padding,
                                             const Shape& out) {
  const std::string mode = call.node().StringOr("mode", "constant");
  const std::vector<int64_t> strides = Strides(call.ShapeOf(0));
  std::vector<std::vector<int64_t>> sources(out.size());
  for (size_t d = 0; d < out.size(); ++d) {
    for (int64_t i = 0; i < out[d]; ++i) {
      const int64_t source =
          PadSource(mode, i - padding.begin[d], call.ShapeOf(0)[d]);
      sources[d].push_back(source == kOutside ? kOutside : source * strides[d]);
    }
  }
  return sources;
}

template <typename T>
T PadValue(const OpCall& call) {
  if (call.Has(2)) return *Elements<T>(call.TensorOf(2));
  return static_cast<T>(call.node().FloatOr("value", 0));
}

absl::StatusOr<Tensors> PadKernel(const OpCall& call, const Values& outputs) {
  LATHE_ASSIGN_OR_RETURN(const Padding padding, ResolvePadding(call));
  const Shape& shape = outputs[0].shape;
  const auto sources = PadSources(call, padding, shape);
  return VisitType(outputs[0].type, [&](auto zero) {
    using T = decltype(zero);
    TensorBuilder<T> out(outputs[0]);
    const T* in = Elements<T>(call.TensorOf(0));
    const T value = PadValue<T>(call);
    for (int64_t i = 0; i < out.size(); ++i) {
      int64_t rest = i;
      int64_t offset = 0;
      for (size_t d = shape.size(); d-- > 0 && offset != kOutside;) {
        const int64_t source = sources[d][rest % shape[d]];
        offset = source == kOutside ? kOutside : offset + source;
        rest /= shape[d];
      }
      out.data()[i] = offset == kOutside ? value : in[offset];
    }
    return Only(std::move(out).Build());
  });
}

}  // namespace

absl::Span<const OperatorDef> PadOperators() {
  static constexpr OperatorDef kOperators[] = {
      {"Pad", 1, 4, OpTypes::kAny, PadRule, PadKernel},
  };
  return kOperators;
}

}  // namespace lathe

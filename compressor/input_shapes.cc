#include "compressor/input_shapes.h"

#include <algorithm>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "base/status.h"

namespace lathe {
namespace {

absl::Status CheckFits(const Value& input, const Shape& shape) {
  bool fits = shape.size() == input.shape.size();
  for (size_t d = 1; fits && d < shape.size(); ++d) {
    const int64_t declared = input.shape[d];
    fits = shape[d] > 0 && (declared == kDynamic || declared == shape[d]);
  }
  if (fits) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("input \"", input.name, "\": shape ", ShapeToString(shape),
                   " does not fit the declared ", ShapeToString(input.shape)));
}

}  // namespace

bool IsOpen(const Value& input) {
  return std::count(input.shape.begin() + (input.shape.empty() ? 0 : 1),
                    input.shape.end(), kDynamic) > 0;
}

absl::StatusOr<Graph> FixInputShapes(const Graph& graph,
                                     const InputShapeSource& shape_of) {
  GraphParts parts = graph.parts();
  for (const ValueId id : graph.inputs()) {
    Value& input = parts.values[id];
    if (!IsOpen(input)) continue;
    LATHE_ASSIGN_OR_RETURN(const Shape shape, shape_of(graph, input));
    LATHE_RETURN_IF_ERROR(CheckFits(input, shape));
    std::copy(shape.begin() + 1, shape.end(), input.shape.begin() + 1);
  }
  return Graph::Create(std::move(parts));
}

}  // namespace lathe

#include "runtime/deployed_model.h"

#include <optional>
#include <utility>

#include "base/status.h"
#include "compressor/model_file.h"
#include "compressor/shape_inference.h"

namespace lathe {
namespace {

// Two sizes that no dimension is likely to equal by chance.
constexpr int64_t kProbeBatches[] = {3, 7};

absl::StatusOr<std::vector<ValueInfo>> InfosAt(const Graph& graph,
                                               int64_t batch) {
  LATHE_ASSIGN_OR_RETURN(const std::vector<Shape> shapes,
                         InputShapes(graph, batch));
  return InferShapes(graph, shapes);
}

// The sizes of `at_one` that stay at another batch.
Shape CommonSizes(const Shape& at_one, const Shape& at_other) {
  Shape shape = at_one;
  for (size_t d = 0; d < shape.size() && d < at_other.size(); ++d) {
    if (at_other[d] != shape[d]) shape[d] = kDynamic;
  }
  return shape;
}

}  // namespace

absl::StatusOr<DeployedModel> DeployedModel::Load(absl::string_view bytes) {
  LATHE_ASSIGN_OR_RETURN(Graph graph, OpenModel(bytes));
  DeployedModel model(std::move(graph));
  const Graph& loaded = model.graph_;
  const std::optional<int64_t> fixed = FixedBatch(loaded);
  model.fixed_batch_ = fixed.value_or(0);
  LATHE_ASSIGN_OR_RETURN(const std::vector<ValueInfo> infos,
                         InfosAt(loaded, fixed.value_or(kProbeBatches[0])));
  LATHE_ASSIGN_OR_RETURN(const std::vector<ValueInfo> others,
                         InfosAt(loaded, fixed.value_or(kProbeBatches[1])));
  const auto describe = [&](ValueId id) {
    return TensorSpec{loaded.value(id).name, infos[id].type,
                      CommonSizes(infos[id].shape, others[id].shape)};
  };
  for (const ValueId id : loaded.inputs()) {
    model.inputs_.push_back(describe(id));
  }
  for (const ValueId id : loaded.outputs()) {
    model.outputs_.push_back(describe(id));
  }
  return model;
}

}  // namespace lathe

#include "evaluator/calibration_source.h"

#include "evaluator/node_runner.h"

namespace lathe {

absl::StatusOr<std::vector<Tensor>> CalibrationSource::Inputs(int64_t first,
                                                              int64_t count) {
  return inputs_->Tensors(absl::MakeConstSpan(samples_).subspan(first, count));
}

absl::StatusOr<std::vector<Tensor>> CalibrationSource::Run(
    const Node& node, absl::Span<const Tensor> inputs) {
  return RunNode(node, opset_, inputs);
}

}  // namespace lathe

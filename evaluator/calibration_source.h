// The calibration samples and fast kernels, as the compressor asks for them.
#ifndef LATHE_EVALUATOR_CALIBRATION_SOURCE_H_
#define LATHE_EVALUATOR_CALIBRATION_SOURCE_H_

#include <cstdint>
#include <utility>
#include <vector>

#include "compressor/activation_source.h"
#include "evaluator/model_inputs.h"

namespace lathe {

// Not thread-safe.
class CalibrationSource : public ActivationSource {
 public:
  // `inputs` must outlive this; `opset` is the graph's.
  CalibrationSource(const ModelInputs* inputs, std::vector<int64_t> samples,
                    int64_t opset)
      : inputs_(inputs), samples_(std::move(samples)), opset_(opset) {}

  int64_t SampleCount() const override { return samples_.size(); }
  absl::StatusOr<std::vector<Tensor>> Inputs(int64_t first,
                                             int64_t count) override;
  absl::StatusOr<std::vector<Tensor>> Run(
      const Node& node, absl::Span<const Tensor> inputs) override;

 private:
  const ModelInputs* const inputs_;
  const std::vector<int64_t> samples_;
  const int64_t opset_;
};

}  // namespace lathe

#endif  // LATHE_EVALUATOR_CALIBRATION_SOURCE_H_

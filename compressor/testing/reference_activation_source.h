// An ActivationSource on the reference operators.
#ifndef LATHE_COMPRESSOR_TESTING_REFERENCE_ACTIVATION_SOURCE_H_
#define LATHE_COMPRESSOR_TESTING_REFERENCE_ACTIVATION_SOURCE_H_

#include <cstdint>
#include <numeric>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "compressor/activation_source.h"
#include "compressor/graph_edit.h"
#include "compressor/reference_ops.h"

namespace lathe {

// Gives the samples of tensors held in memory. Not thread-safe.
class ReferenceActivationSource : public ActivationSource {
 public:
  // `inputs` has one tensor [samples, ...] for each graph input.
  ReferenceActivationSource(std::vector<Tensor> inputs, int64_t opset)
      : inputs_(std::move(inputs)), opset_(opset) {}

  int64_t SampleCount() const override { return inputs_[0].shape()[0]; }

  absl::StatusOr<std::vector<Tensor>> Inputs(int64_t first,
                                             int64_t count) override {
    std::vector<int64_t> samples(count);
    std::iota(samples.begin(), samples.end(), first);
    std::vector<Tensor> chosen;
    for (const Tensor& input : inputs_) {
      chosen.push_back(TakeAlongAxis(input, /*axis=*/0, samples));
    }
    return chosen;
  }

  absl::StatusOr<std::vector<Tensor>> Run(
      const Node& node, absl::Span<const Tensor> inputs) override {
    ++runs_;
    return EvaluateNode(node, opset_, inputs);
  }

  // Calls of Run so far.
  int64_t runs() const { return runs_; }

 private:
  const std::vector<Tensor> inputs_;
  const int64_t opset_;
  int64_t runs_ = 0;
};

}  // namespace lathe

#endif  // LATHE_COMPRESSOR_TESTING_REFERENCE_ACTIVATION_SOURCE_H_

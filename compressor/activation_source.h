// What the compressor needs to run: the calibration samples, and single nodes
// on them. The evaluator implements it with fast kernels; tests with the
// reference operators (reference_ops.h).
#ifndef LATHE_COMPRESSOR_ACTIVATION_SOURCE_H_
#define LATHE_COMPRESSOR_ACTIVATION_SOURCE_H_

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "compressor/graph.h"
#include "compressor/tensor.h"

namespace lathe {

// Not thread-safe.
class ActivationSource {
 public:
  virtual ~ActivationSource() = default;

  // Samples that Inputs can give.
  virtual int64_t SampleCount() const = 0;

  // The preprocessed inputs of samples [first, first + count), one float32
  // tensor [count, ...] for each of the graph's inputs, in their order.
  // REQUIRES: the range lies within SampleCount().
  virtual absl::StatusOr<std::vector<Tensor>> Inputs(int64_t first,
                                                     int64_t count) = 0;

  // Runs one node, post-ops included, in float32 whatever its precision, but
  // for INT8_DYNAMIC, as EvaluateNode; grids of values are not applied.
  // `inputs` has a tensor for each of node.inputs (constants included; an empty
  // float32 tensor [0] where it is kNoValue).
  virtual absl::StatusOr<std::vector<Tensor>> Run(
      const Node& node, absl::Span<const Tensor> inputs) = 0;
};

}  // namespace lathe

#endif  // LATHE_COMPRESSOR_ACTIVATION_SOURCE_H_

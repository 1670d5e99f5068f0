// Samples of a dataset as the inputs of a model.
#ifndef LATHE_EVALUATOR_MODEL_INPUTS_H_
#define LATHE_EVALUATOR_MODEL_INPUTS_H_

#include <cstdint>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "compressor/graph.h"
#include "compressor/input_shapes.h"
#include "compressor/tensor.h"
#include "data/dataset.h"
#include "evaluator/executor.h"
#include "proto/types.pb.h"

namespace lathe {

// The shapes that `dataset`, which must outlive the result, gives inputs that
// leave sizes open.
InputShapeSource ShapesOfData(const Dataset* dataset,
                              const v1::DatasetSpec& spec);

// Binds each input of a model to an array of a dataset. Immutable.
class ModelInputs {
 public:
  // An input takes the array of its name; a sole input also the array "x", or
  // the only one there is. `dataset` must outlive the result. Shapes and the
  // preprocessing are checked once, here.
  //
  // Errors:
  //   InvalidArgument - an input without an array, or what MakeInput refuses;
  //     the message names the input.
  static absl::StatusOr<ModelInputs> Bind(const Graph& graph,
                                          const Dataset* dataset,
                                          const v1::DatasetSpec& spec);

  // Writes `samples` into the executor's input buffers; what is left of its
  // batch repeats the last of them. REQUIRES: 0 < samples.size() <= batch.
  absl::Status Fill(absl::Span<const int64_t> samples,
                    Executor* executor) const;

  // One tensor [samples.size(), ...] of the input's type for each input.
  absl::StatusOr<std::vector<Tensor>> Tensors(
      absl::Span<const int64_t> samples) const;

  const Dataset& dataset() const { return *dataset_; }

 private:
  struct Input {
    const Array* array;
    Shape shape;  // Of one sample, with the leading 1.
    DataType type;
  };

  ModelInputs(const Dataset* dataset, v1::DatasetSpec spec)
      : dataset_(dataset), spec_(std::move(spec)) {}

  const Dataset* dataset_;
  v1::DatasetSpec spec_;
  std::vector<Input> inputs_;  // In the order of the graph's.
};

}  // namespace lathe

#endif  // LATHE_EVALUATOR_MODEL_INPUTS_H_

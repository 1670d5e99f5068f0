// Models made ready for timing without data.
#ifndef LATHE_CLIENT_WORKER_BENCH_MODEL_H_
#define LATHE_CLIENT_WORKER_BENCH_MODEL_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "compressor/activation_source.h"
#include "compressor/graph.h"
#include "compressor/tensor.h"
#include "evaluator/executor.h"

namespace lathe {

// `graph` in one precision: "as-is" leaves it; "f32" drops quantisation;
// "bf16" and "int8" turn every layer that has such a kernel. Ranges for int8
// come from a few random samples; grids have no zero points.
//
// Errors: those of MakeSearchSpace and Compress.
absl::StatusOr<Graph> AtPrecision(const Graph& graph,
                                  absl::string_view precision);

// Random inputs for `graph` at `batch`, in the order of its inputs: float32 in
// [0, 1), zeros for other types. Equal arguments give equal tensors.
//
// Errors: those of InputShapes.
absl::StatusOr<std::vector<Tensor>> RandomInputs(const Graph& graph,
                                                 int64_t batch);

// `graph` compiled at `batch`, with RandomInputs.
//
// Errors: those of InputShapes and Executor::Compile.
absl::StatusOr<std::unique_ptr<Executor>> CompileWithInputs(const Graph& graph,
                                                            int64_t batch);

// Such inputs as calibration samples, for models without data. Not
// thread-safe.
class RandomSource : public ActivationSource {
 public:
  // `graph` must outlive it.
  explicit RandomSource(const Graph* graph);

  int64_t SampleCount() const override { return count_; }
  absl::StatusOr<std::vector<Tensor>> Inputs(int64_t first,
                                             int64_t count) override;
  absl::StatusOr<std::vector<Tensor>> Run(
      const Node& node, absl::Span<const Tensor> inputs) override;

 private:
  // Latency does not depend on the ranges: a few samples do.
  static constexpr int64_t kSamples = 4;

  const Graph& graph_;
  const int64_t count_;
};

}  // namespace lathe

#endif  // LATHE_CLIENT_WORKER_BENCH_MODEL_H_

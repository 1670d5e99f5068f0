// Runs a segment on the activations that the segment before it left.
#ifndef LATHE_EXPERIMENTS_COMPRESSION_BENCH_SEGMENT_RUNNER_H_
#define LATHE_EXPERIMENTS_COMPRESSION_BENCH_SEGMENT_RUNNER_H_

#include <cstdint>
#include <memory>
#include <vector>

#include "absl/status/statusor.h"
#include "compressor/graph.h"
#include "evaluator/executor.h"

namespace lathe {

// Not thread-safe.
class SegmentRunner {
 public:
  // Errors: those of Executor::Compile.
  static absl::StatusOr<SegmentRunner> Make(const Graph& segment,
                                            int64_t batch);

  // The outputs of all samples, one after the other.
  // REQUIRES: `inputs` are those of `samples` samples.
  absl::StatusOr<std::vector<float>> Run(const std::vector<float>& inputs,
                                         int64_t samples);

 private:
  SegmentRunner(std::unique_ptr<Executor> executor, int64_t batch);

  std::unique_ptr<Executor> executor_;
  int64_t batch_;
  // Elements of one sample.
  int64_t input_size_;
  int64_t output_size_;
};

}  // namespace lathe

#endif  // LATHE_EXPERIMENTS_COMPRESSION_BENCH_SEGMENT_RUNNER_H_

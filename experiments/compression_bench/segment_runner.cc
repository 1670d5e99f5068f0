#include "experiments/compression_bench/segment_runner.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "base/status.h"

namespace lathe {

SegmentRunner::SegmentRunner(std::unique_ptr<Executor> executor, int64_t batch)
    : executor_(std::move(executor)),
      batch_(batch),
      input_size_(ElementCount(executor_->input_shapes()[0]) / batch),
      output_size_(ElementCount(executor_->output_shapes()[0]) / batch) {}

absl::StatusOr<SegmentRunner> SegmentRunner::Make(const Graph& segment,
                                                  int64_t batch) {
  LATHE_ASSIGN_OR_RETURN(std::unique_ptr<Executor> executor,
                         Executor::Compile(segment, {batch}));
  return SegmentRunner(std::move(executor), batch);
}

absl::StatusOr<std::vector<float>> SegmentRunner::Run(
    const std::vector<float>& inputs, int64_t samples) {
  std::vector<float> outputs(samples * output_size_);
  for (int64_t first = 0; first < samples; first += batch_) {
    const int64_t count = std::min(batch_, samples - first);
    std::memcpy(executor_->input(0), &inputs[first * input_size_],
                count * input_size_ * sizeof(float));
    LATHE_RETURN_IF_ERROR(executor_->Run());
    std::memcpy(&outputs[first * output_size_], executor_->output(0),
                count * output_size_ * sizeof(float));
  }
  return outputs;
}

}  // namespace lathe

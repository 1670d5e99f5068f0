// Many samples through a network that takes a fixed number of them at once.
#ifndef LATHE_COMPRESSOR_FIXED_BATCH_SOURCE_H_
#define LATHE_COMPRESSOR_FIXED_BATCH_SOURCE_H_

#include <cstdint>
#include <optional>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "compressor/activation_source.h"
#include "compressor/graph.h"

namespace lathe {

// Runs each node once for every `batch` samples and joins what comes out along
// the first dimension. Not thread-safe.
class FixedBatchSource : public ActivationSource {
 public:
  // `graph` and `source` must outlive this. Constants that an edit of the graph
  // appended are known by their ids.
  FixedBatchSource(const Graph& graph, ActivationSource& source, int64_t batch)
      : graph_(graph), source_(source), batch_(batch) {}

  // Whole batches only.
  int64_t SampleCount() const override {
    return source_.SampleCount() / batch_ * batch_;
  }
  // REQUIRES: `count` is a multiple of the batch.
  absl::StatusOr<std::vector<Tensor>> Inputs(int64_t first,
                                             int64_t count) override;
  // Errors: those of the source, and FailedPrecondition - an activation is a
  // scalar, so that there is nothing to join.
  absl::StatusOr<std::vector<Tensor>> Run(
      const Node& node, absl::Span<const Tensor> inputs) override;

 private:
  bool IsActivation(ValueId id) const {
    return id != kNoValue &&
           id < static_cast<ValueId>(graph_.values().size()) &&
           !graph_.IsConstant(id);
  }

  const Graph& graph_;
  ActivationSource& source_;
  const int64_t batch_;
  int64_t batches_ = 1;  // Of what Inputs gave last.
};

}  // namespace lathe

#endif  // LATHE_COMPRESSOR_FIXED_BATCH_SOURCE_H_

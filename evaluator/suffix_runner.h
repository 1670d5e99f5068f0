// The end of a changed network, run on what the original gives before it.
#ifndef LATHE_EVALUATOR_SUFFIX_RUNNER_H_
#define LATHE_EVALUATOR_SUFFIX_RUNNER_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "compressor/graph.h"
#include "compressor/tensor.h"
#include "evaluator/accuracy.h"
#include "evaluator/model_inputs.h"

namespace lathe {

// Holds all activations of the original on some samples. Not thread-safe.
class SuffixRunner {
 public:
  // Runs the original. `graph` must outlive this. Fewer of the first `samples`
  // are taken where activations would take more than `most_bytes`.
  //
  // Errors: those of RunNode.
  static absl::StatusOr<std::unique_ptr<SuffixRunner>> Create(
      const Graph& graph, const ModelInputs& inputs,
      absl::Span<const int64_t> samples, int64_t most_bytes);

  // The samples that are held.
  absl::Span<const int64_t> samples() const { return samples_; }

  // What `changed` answers. It has the original's nodes and activations, with
  // the same indices, as graphs made by Compress do; else, where its end cannot
  // run by itself, and where grids belong to calls, all of it runs.
  //
  // Errors: those of Answer.
  absl::StatusOr<Answers> AnswerOf(const Graph& changed) const;

 private:
  // One batch's tensors, by value.
  using Batch = std::vector<std::optional<Tensor>>;

  SuffixRunner(const Graph& graph, const ModelInputs& inputs)
      : graph_(graph), inputs_(inputs) {}

  absl::Status RunOriginal(int64_t batch);
  // The nodes of `changed` that give other numbers than the original's; none
  // where it is not the same network.
  std::optional<std::vector<bool>> ChangedNodes(const Graph& changed) const;
  absl::StatusOr<Answers> RunSuffix(const Graph& changed,
                                    const std::vector<bool>& is_changed) const;

  const Graph& graph_;
  const ModelInputs& inputs_;
  std::vector<int64_t> samples_;
  std::vector<Batch> batches_;
};

}  // namespace lathe

#endif  // LATHE_EVALUATOR_SUFFIX_RUNNER_H_

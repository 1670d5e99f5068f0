// An ActivationSource that runs what it has run before only once.
#ifndef LATHE_COMPRESSOR_REMEMBERING_SOURCE_H_
#define LATHE_COMPRESSOR_REMEMBERING_SOURCE_H_

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "compressor/activation_source.h"
#include "compressor/graph.h"
#include "compressor/tensor.h"

namespace lathe {

// Every plan is compressed beside a run of the original on the same samples;
// this keeps that run, from the second time on that its samples are asked for:
// what scores channels once, on other samples, leaves nothing. A node is known
// by its name, its operator, post-ops, attributes and whether it is
// INT8_DYNAMIC, and by its inputs, which have to be constants of the original,
// or tensors that this gave: the very same memory, not equal numbers. Gives
// what `inner` gives, bit for bit. Not thread-safe.
class RememberingSource : public ActivationSource {
 public:
  // Enough for what networks of small images are rebuilt and rounded on: 350 MB
  // of ResNet-20.
  static constexpr int64_t kMostBytes = int64_t{512} << 20;

  // Remembers at most about `most_bytes`, first come first kept. `original` and
  // `inner` must outlive this.
  RememberingSource(const Graph& original, ActivationSource& inner,
                    int64_t most_bytes = kMostBytes);

  int64_t SampleCount() const override { return inner_.SampleCount(); }
  absl::StatusOr<std::vector<Tensor>> Inputs(int64_t first,
                                             int64_t count) override;
  absl::StatusOr<std::vector<Tensor>> Run(
      const Node& node, absl::Span<const Tensor> inputs) override;

  // Nodes that did not have to run.
  int64_t spared_runs() const { return spared_runs_; }

 private:
  using Key = std::vector<const void*>;

  // Whether `node` is the original's node of its name but for its inputs.
  bool IsOriginal(const Node& node) const;
  // Whether all of `inputs` are known; the memory of each.
  bool AreKnown(absl::Span<const Tensor> inputs, Key* key) const;
  // Keeps `tensors` if there is room.
  bool Keep(const std::vector<Tensor>& tensors);

  ActivationSource& inner_;
  const int64_t most_bytes_;
  std::map<std::string, const Node*> originals_;
  // By first sample and count. Nothing: asked for once.
  std::map<std::pair<int64_t, int64_t>, std::optional<std::vector<Tensor>>>
      inputs_;
  std::map<std::pair<std::string, Key>, std::vector<Tensor>> runs_;
  std::set<const void*> known_;
  int64_t bytes_ = 0;
  int64_t spared_runs_ = 0;
};

}  // namespace lathe

#endif  // LATHE_COMPRESSOR_REMEMBERING_SOURCE_H_

// A model file as the runtime executes it.
#ifndef LATHE_RUNTIME_DEPLOYED_MODEL_H_
#define LATHE_RUNTIME_DEPLOYED_MODEL_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "compressor/graph.h"
#include "evaluator/executor.h"

namespace lathe {

// An input or an output.
struct TensorSpec {
  std::string name;
  DataType type = DataType::kFloat32;
  // kDynamic where the batch decides.
  Shape shape;
};

// Immutable.
class DeployedModel {
 public:
  // Errors: those of ParseOnnx and Canonicalize.
  static absl::StatusOr<DeployedModel> Load(absl::string_view bytes);

  const Graph& graph() const { return graph_; }
  const std::vector<TensorSpec>& inputs() const { return inputs_; }
  const std::vector<TensorSpec>& outputs() const { return outputs_; }
  // The only batch that it takes; 0: any.
  int64_t fixed_batch() const { return fixed_batch_; }

 private:
  explicit DeployedModel(Graph graph) : graph_(std::move(graph)) {}

  Graph graph_;
  std::vector<TensorSpec> inputs_;
  std::vector<TensorSpec> outputs_;
  int64_t fixed_batch_ = 0;
};

}  // namespace lathe

#endif  // LATHE_RUNTIME_DEPLOYED_MODEL_H_

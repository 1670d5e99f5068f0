// Three linear layers, rectified between.
#ifndef LATHE_AGENT_MLP_H_
#define LATHE_AGENT_MLP_H_

#include <torch/torch.h>

#include <vector>

#include "absl/types/span.h"
#include "agent/random.h"

namespace lathe {

// Not thread-safe.
class Mlp {
 public:
  // [rows, inputs] to [rows, outputs]. The last weights are small, so that the
  // first outputs are near 0. torch's own initialisers draw from its global
  // generator.
  Mlp(int inputs, int hidden, int outputs, Random* random);

  torch::Tensor Forward(torch::Tensor x) const;
  const std::vector<torch::Tensor>& parameters() const { return parameters_; }
  // Moves towards `source` by `rate`; 1 copies.
  void Follow(const Mlp& source, double rate);

 private:
  std::vector<torch::Tensor> parameters_;
};

// Row-major, [values / columns, columns]; a copy.
torch::Tensor ToTensor(absl::Span<const float> values, int64_t columns);
std::vector<float> ToVector(const torch::Tensor& tensor);

}  // namespace lathe

#endif  // LATHE_AGENT_MLP_H_

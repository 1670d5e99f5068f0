#include "agent/mlp.h"

#include <cmath>
#include <utility>

namespace lathe {
namespace {

// Uniform in +-`range`.
torch::Tensor RandomTensor(std::vector<int64_t> sizes, double range,
                           Random* random) {
  torch::Tensor tensor = torch::empty(sizes);
  float* values = tensor.data_ptr<float>();
  for (int64_t i = 0; i < tensor.numel(); ++i) {
    values[i] = static_cast<float>(range * (2 * random->Uniform() - 1));
  }
  return tensor.requires_grad_(true);
}

}  // namespace

Mlp::Mlp(int inputs, int hidden, int outputs, Random* random) {
  const int sizes[] = {inputs, hidden, hidden, outputs};
  for (int i = 0; i < 3; ++i) {
    const double range = i < 2 ? 1 / std::sqrt(sizes[i]) : 3e-3;
    parameters_.push_back(
        RandomTensor({sizes[i + 1], sizes[i]}, range, random));
    parameters_.push_back(RandomTensor({sizes[i + 1]}, range, random));
  }
}

torch::Tensor Mlp::Forward(torch::Tensor x) const {
  x = torch::relu(torch::linear(x, parameters_[0], parameters_[1]));
  x = torch::relu(torch::linear(x, parameters_[2], parameters_[3]));
  return torch::linear(x, parameters_[4], parameters_[5]);
}

void Mlp::Follow(const Mlp& source, double rate) {
  torch::NoGradGuard no_grad;
  for (size_t i = 0; i < parameters_.size(); ++i) {
    parameters_[i].lerp_(source.parameters_[i], rate);
  }
}

torch::Tensor ToTensor(absl::Span<const float> values, int64_t columns) {
  return torch::from_blob(
             const_cast<float*>(values.data()),
             {static_cast<int64_t>(values.size()) / columns, columns})
      .clone();
}

std::vector<float> ToVector(const torch::Tensor& tensor) {
  const torch::Tensor flat = tensor.contiguous();
  return std::vector<float>(flat.data_ptr<float>(),
                            flat.data_ptr<float>() + flat.numel());
}

}  // namespace lathe

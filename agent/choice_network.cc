#include "agent/choice_network.h"

#include <torch/optim/adam.h>
#include <torch/torch.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <sstream>
#include <string>
#include <type_traits>
#include <utility>

#include "absl/strings/strip.h"
#include "agent/mlp.h"
#include "agent/random.h"
#include "agent/torch_threads.h"

namespace lathe {
namespace {

constexpr int kHidden = 64;
constexpr double kRate = 3e-3;

// Probability of a choice that is one unit of energy above another, at the
// start, is 1/e of it.
constexpr float kFirstLogAlpha = 0;

// The form of saved weights; any change of it, or of the network, needs another
// name.
constexpr absl::string_view kSavedAs = "lathe choice network 2\n";
// Far more than any network has learned.
constexpr float kMostWeight = 1e4f;

// Logits of choices that a step does not have.
constexpr float kNever = -1e9f;

// What torch's optimizers call a parameter: its address, as text in version 1.
template <typename Key>
Key KeyOf(const torch::Tensor& parameter) {
  if constexpr (std::is_same_v<Key, std::string>) {
    std::ostringstream text;
    text << parameter.unsafeGetTensorImpl();
    return text.str();
  } else {
    return parameter.unsafeGetTensorImpl();
  }
}

}  // namespace

struct ChoiceNetwork::Parts {
  Parts(int feature_size, Random random)
      : mlp(feature_size, kHidden, 1, &random),
        log_alpha(torch::full({1}, kFirstLogAlpha).requires_grad_(true)),
        optimizer(Parameters(), torch::optim::AdamOptions(kRate)) {}

  std::vector<torch::Tensor> Parameters() const {
    std::vector<torch::Tensor> parameters = mlp.parameters();
    parameters.push_back(log_alpha);
    return parameters;
  }

  // Log-probabilities, [steps, most choices of any]; kNever or so where a step
  // has none.
  torch::Tensor LogProbabilities(absl::Span<const ChoiceStep> steps,
                                 int feature_size) const {
    size_t most = 1;
    for (const ChoiceStep& step : steps) {
      most = std::max(most, step.energies.size());
    }
    std::vector<float> features, energies;
    std::vector<int64_t> places;
    for (size_t s = 0; s < steps.size(); ++s) {
      features.insert(features.end(), steps[s].features.begin(),
                      steps[s].features.end());
      energies.insert(energies.end(), steps[s].energies.begin(),
                      steps[s].energies.end());
      for (size_t c = 0; c < steps[s].energies.size(); ++c) {
        places.push_back(static_cast<int64_t>(s * most + c));
      }
    }
    const torch::Tensor values =
        mlp.Forward(ToTensor(features, feature_size)).view({-1}) -
        log_alpha.exp() * ToTensor(energies, 1).view({-1});
    const torch::Tensor index =
        torch::tensor(places, torch::dtype(torch::kInt64));
    const int64_t rows = static_cast<int64_t>(steps.size());
    const torch::Tensor logits =
        torch::full({rows * static_cast<int64_t>(most)}, kNever)
            .index_put({index}, values)
            .view({rows, static_cast<int64_t>(most)});
    return torch::log_softmax(logits, 1);
  }

  // What Adam remembers of each parameter. (torch's own form has addresses in
  // it, so that equal optimizers would be stored differently.)
  void VisitOptimizer(StateArchive& archive) {
    using States = std::decay_t<decltype(optimizer.state())>;
    for (const torch::Tensor& parameter : Parameters()) {
      const auto key = KeyOf<States::key_type>(parameter);
      const auto known = optimizer.state().find(key);
      bool has_state = known != optimizer.state().end();
      archive(has_state);
      if (!has_state) continue;
      int64_t step = 0;
      std::vector<float> mean, square;
      if (!archive.is_reading()) {
        const auto& state =
            static_cast<const torch::optim::AdamParamState&>(*known->second);
        step = state.step();
        mean = ToVector(state.exp_avg());
        square = ToVector(state.exp_avg_sq());
      }
      archive(step);
      archive(mean);
      archive(square);
      if (!archive.is_reading()) continue;
      const auto count = static_cast<size_t>(parameter.numel());
      if (mean.size() != count || square.size() != count) {
        return archive.Refuse();
      }
      auto state = std::make_unique<torch::optim::AdamParamState>();
      state->step(step);
      state->exp_avg(ToTensor(mean, 1).view(parameter.sizes()));
      state->exp_avg_sq(ToTensor(square, 1).view(parameter.sizes()));
      optimizer.state()[key] = std::move(state);
    }
  }

  Mlp mlp;
  torch::Tensor log_alpha;
  torch::optim::Adam optimizer;
};

ChoiceNetwork::ChoiceNetwork(int feature_size, uint64_t seed)
    : feature_size_(feature_size),
      parts_(std::make_unique<Parts>(feature_size, Random(seed))) {}

ChoiceNetwork::~ChoiceNetwork() = default;

double ChoiceNetwork::alpha() const {
  return std::exp(parts_->log_alpha.item<double>());
}

std::vector<std::vector<double>> ChoiceNetwork::Probabilities(
    absl::Span<const ChoiceStep> steps) const {
  UseOneThread();
  torch::NoGradGuard no_grad;
  const std::vector<float> flat =
      ToVector(parts_->LogProbabilities(steps, feature_size_).exp());
  const size_t most = flat.size() / std::max<size_t>(1, steps.size());
  std::vector<std::vector<double>> probabilities;
  for (size_t s = 0; s < steps.size(); ++s) {
    const auto first = flat.begin() + static_cast<std::ptrdiff_t>(s * most);
    probabilities.emplace_back(
        first, first + static_cast<std::ptrdiff_t>(steps[s].energies.size()));
  }
  return probabilities;
}

std::string ChoiceNetwork::Save() const {
  std::string saved(kSavedAs);
  for (const torch::Tensor& parameter : parts_->Parameters()) {
    const std::vector<float> values = ToVector(parameter.detach());
    saved.append(reinterpret_cast<const char*>(values.data()),
                 values.size() * sizeof(float));
  }
  return saved;
}

bool ChoiceNetwork::Load(absl::string_view saved) {
  if (!absl::ConsumePrefix(&saved, kSavedAs)) return false;
  const std::vector<torch::Tensor> parameters = parts_->Parameters();
  size_t count = 0;
  for (const torch::Tensor& parameter : parameters) count += parameter.numel();
  if (saved.size() != count * sizeof(float)) return false;
  std::vector<float> values(count);
  std::memcpy(values.data(), saved.data(), saved.size());
  const bool is_sound = std::all_of(values.begin(), values.end(), [](float v) {
    return std::isfinite(v) && std::abs(v) < kMostWeight;
  });
  if (!is_sound) return false;
  torch::NoGradGuard no_grad;
  const float* next = values.data();
  for (const torch::Tensor& parameter : parameters) {
    std::copy_n(next, parameter.numel(), parameter.data_ptr<float>());
    next += parameter.numel();
  }
  return true;
}

void ChoiceNetwork::Visit(StateArchive& archive) {
  std::string weights = Save();
  archive(weights);
  if (archive.is_reading() && archive.is_sound() && !Load(weights)) {
    archive.Refuse();
  }
  parts_->VisitOptimizer(archive);
}

void ChoiceNetwork::Update(absl::Span<const ChoiceStep> steps) {
  UseOneThread();
  std::vector<int64_t> taken;
  std::vector<float> weights;
  for (const ChoiceStep& step : steps) {
    taken.push_back(step.taken);
    weights.push_back(step.weight);
  }
  Parts& parts = *parts_;
  parts.optimizer.zero_grad();
  const torch::Tensor log_p = parts.LogProbabilities(steps, feature_size_);
  const torch::Tensor chosen = log_p.gather(
      1, torch::tensor(taken, torch::dtype(torch::kInt64)).view({-1, 1}));
  const torch::Tensor gain = (ToTensor(weights, 1) * chosen).mean();
  const torch::Tensor entropy = -(log_p.exp() * log_p).sum(1).mean();
  (-gain - kEntropyWeight * entropy).backward();
  parts.optimizer.step();
}

}  // namespace lathe

#include "agent/ddpg_learner.h"

#include <ATen/Parallel.h>
#include <torch/optim/adam.h>
#include <torch/torch.h>

#include <cmath>

#include "agent/random.h"

// OpenBLAS, where libtorch's BLAS is that, has threads of its own.
extern "C" void openblas_set_num_threads(int threads) __attribute__((weak));

namespace lathe {
namespace {

constexpr int kHidden = 300;
constexpr double kTargetRate = 0.01;
// The thread count of OpenMP belongs to the calling thread, so it is set at
// every entry: results must not depend on it, and small products only lose by
// threads.
void UseOneThread() {
  at::set_num_threads(1);
  if (openblas_set_num_threads != nullptr) openblas_set_num_threads(1);
}

// Uniform in +-`range`. torch's own initialisers draw from its global
// generator.
torch::Tensor RandomTensor(std::vector<int64_t> sizes, double range,
                           Random* random) {
  torch::Tensor tensor = torch::empty(sizes);
  float* values = tensor.data_ptr<float>();
  for (int64_t i = 0; i < tensor.numel(); ++i) {
    values[i] = static_cast<float>(range * (2 * random->Uniform() - 1));
  }
  return tensor.requires_grad_(true);
}

// Three linear layers, rectified between.
class Mlp {
 public:
  Mlp(int inputs, Random* random) {
    const int sizes[] = {inputs, kHidden, kHidden, 1};
    for (int i = 0; i < 3; ++i) {
      // Small last weights: the first policy is the middle of the range.
      const double range = i < 2 ? 1 / std::sqrt(sizes[i]) : 3e-3;
      parameters_.push_back(
          RandomTensor({sizes[i + 1], sizes[i]}, range, random));
      parameters_.push_back(RandomTensor({sizes[i + 1]}, range, random));
    }
  }

  torch::Tensor Forward(torch::Tensor x) const {
    x = torch::relu(torch::linear(x, parameters_[0], parameters_[1]));
    x = torch::relu(torch::linear(x, parameters_[2], parameters_[3]));
    return torch::linear(x, parameters_[4], parameters_[5]);
  }

  const std::vector<torch::Tensor>& parameters() const { return parameters_; }

  // Moves towards `source` by `rate`; 1 copies.
  void Follow(const Mlp& source, double rate) {
    torch::NoGradGuard no_grad;
    for (size_t i = 0; i < parameters_.size(); ++i) {
      parameters_[i].lerp_(source.parameters_[i], rate);
    }
  }

 private:
  std::vector<torch::Tensor> parameters_;
};

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

}  // namespace

struct DdpgLearner::Networks {
  Networks(int state_size, Random random, const DdpgOptions& options)
      : actor(state_size, &random),
        critic(state_size + 1, &random),
        target_actor(state_size, &random),
        target_critic(state_size + 1, &random),
        actor_optimizer(actor.parameters(),
                        torch::optim::AdamOptions(options.actor_rate)),
        critic_optimizer(critic.parameters(),
                         torch::optim::AdamOptions(options.critic_rate)) {
    target_actor.Follow(actor, 1);
    target_critic.Follow(critic, 1);
  }

  static torch::Tensor Action(const Mlp& actor, const torch::Tensor& states) {
    return torch::sigmoid(actor.Forward(states));
  }
  static torch::Tensor Value(const Mlp& critic, const torch::Tensor& states,
                             const torch::Tensor& actions) {
    return critic.Forward(torch::cat({states, actions}, 1));
  }

  Mlp actor;
  Mlp critic;
  Mlp target_actor;
  Mlp target_critic;
  torch::optim::Adam actor_optimizer;
  torch::optim::Adam critic_optimizer;
};

DdpgLearner::DdpgLearner(int state_size, uint64_t seed,
                         const DdpgOptions& options)
    : state_size_(state_size),
      options_(options),
      networks_(std::make_unique<Networks>(state_size, Random(seed), options)) {
}

DdpgLearner::~DdpgLearner() = default;

std::vector<float> DdpgLearner::Act(absl::Span<const float> states,
                                    int rows) const {
  UseOneThread();
  torch::NoGradGuard no_grad;
  (void)rows;
  return ToVector(
      Networks::Action(networks_->actor, ToTensor(states, state_size_)));
}

std::vector<float> DdpgLearner::Value(absl::Span<const float> states,
                                      absl::Span<const float> actions) const {
  UseOneThread();
  torch::NoGradGuard no_grad;
  return ToVector(Networks::Value(
      networks_->critic, ToTensor(states, state_size_), ToTensor(actions, 1)));
}

void DdpgLearner::Update(absl::Span<const Transition* const> batch) {
  UseOneThread();
  std::vector<float> states, actions, rewards, next_states, goes_on, imitation;
  for (const Transition* step : batch) {
    const bool is_last = step->next_state.empty();
    const std::vector<float>& next = is_last ? step->state : step->next_state;
    states.insert(states.end(), step->state.begin(), step->state.end());
    next_states.insert(next_states.end(), next.begin(), next.end());
    actions.push_back(step->action);
    rewards.push_back(step->reward);
    imitation.push_back(step->imitation);
    goes_on.push_back(is_last ? 0 : 1);
  }
  Networks& n = *networks_;
  const torch::Tensor s = ToTensor(states, state_size_);
  torch::Tensor target;
  {
    torch::NoGradGuard no_grad;
    const torch::Tensor next = ToTensor(next_states, state_size_);
    target = ToTensor(rewards, 1) +
             ToTensor(goes_on, 1) *
                 Networks::Value(n.target_critic, next,
                                 Networks::Action(n.target_actor, next));
  }
  n.critic_optimizer.zero_grad();
  torch::mse_loss(Networks::Value(n.critic, s, ToTensor(actions, 1)), target)
      .backward();
  n.critic_optimizer.step();

  n.actor_optimizer.zero_grad();
  const torch::Tensor acted = Networks::Action(n.actor, s);
  const torch::Tensor value = Networks::Value(n.critic, s, acted);
  if (options_.value_weight) {
    // Values in units of their own size, so that imitation weighs the same
    // however large rewards are.
    const double scale = value.detach().abs().mean().item<double>();
    const torch::Tensor distance =
        ToTensor(imitation, 1) * (acted - ToTensor(actions, 1)).square();
    (distance.mean() - *options_.value_weight / (scale + 0.1) * value.mean())
        .backward();
  } else {
    (-value.mean()).backward();
  }
  n.actor_optimizer.step();

  n.target_actor.Follow(n.actor, kTargetRate);
  n.target_critic.Follow(n.critic, kTargetRate);
}

}  // namespace lathe

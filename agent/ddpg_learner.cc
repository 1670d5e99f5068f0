#include "agent/ddpg_learner.h"

#include <torch/optim/adam.h>
#include <torch/torch.h>

#include "agent/mlp.h"
#include "agent/random.h"
#include "agent/torch_threads.h"

namespace lathe {
namespace {

constexpr int kHidden = 300;
constexpr double kActorRate = 1e-4;
constexpr double kCriticRate = 1e-3;
constexpr double kTargetRate = 0.01;
}  // namespace

struct DdpgLearner::Networks {
  Networks(int state_size, Random random)
      : actor(state_size, kHidden, &random),
        critic(state_size + 1, kHidden, &random),
        target_actor(state_size, kHidden, &random),
        target_critic(state_size + 1, kHidden, &random),
        actor_optimizer(actor.parameters(),
                        torch::optim::AdamOptions(kActorRate)),
        critic_optimizer(critic.parameters(),
                         torch::optim::AdamOptions(kCriticRate)) {
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

DdpgLearner::DdpgLearner(int state_size, uint64_t seed)
    : state_size_(state_size),
      networks_(std::make_unique<Networks>(state_size, Random(seed))) {}

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
  std::vector<float> states, actions, rewards, next_states, goes_on;
  for (const Transition* step : batch) {
    const bool is_last = step->next_state.empty();
    const std::vector<float>& next = is_last ? step->state : step->next_state;
    states.insert(states.end(), step->state.begin(), step->state.end());
    next_states.insert(next_states.end(), next.begin(), next.end());
    actions.push_back(step->action);
    rewards.push_back(step->reward);
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
  (-value.mean()).backward();
  n.actor_optimizer.step();

  n.target_actor.Follow(n.actor, kTargetRate);
  n.target_critic.Follow(n.critic, kTargetRate);
}

}  // namespace lathe

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
  Networks(int state_size, int action_size, Random random)
      : actor(state_size, kHidden, action_size, &random),
        critic(state_size + action_size, kHidden, 1, &random),
        target_actor(state_size, kHidden, action_size, &random),
        target_critic(state_size + action_size, kHidden, 1, &random),
        actor_optimizer(actor.parameters(),
                        torch::optim::AdamOptions(kActorRate)),
        critic_optimizer(critic.parameters(),
                         torch::optim::AdamOptions(kCriticRate)) {
    target_actor.Follow(actor, 1);
    target_critic.Follow(critic, 1);
  }

  static torch::Tensor Actions(const Mlp& actor, const torch::Tensor& states) {
    return torch::sigmoid(actor.Forward(states));
  }
  // Those that a step does not have stay at 1, and teach the actor nothing.
  static torch::Tensor Actions(const Mlp& actor, const torch::Tensor& states,
                               const torch::Tensor& has) {
    return 1 - has * (1 - Actions(actor, states));
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

DdpgLearner::DdpgLearner(int state_size, int action_size, uint64_t seed)
    : state_size_(state_size),
      action_size_(action_size),
      networks_(
          std::make_unique<Networks>(state_size, action_size, Random(seed))) {}

DdpgLearner::~DdpgLearner() = default;

std::vector<float> DdpgLearner::Act(absl::Span<const float> states) const {
  UseOneThread();
  torch::NoGradGuard no_grad;
  return ToVector(
      Networks::Actions(networks_->actor, ToTensor(states, state_size_)));
}

std::vector<float> DdpgLearner::Value(absl::Span<const float> states,
                                      absl::Span<const float> actions) const {
  UseOneThread();
  torch::NoGradGuard no_grad;
  return ToVector(Networks::Value(networks_->critic,
                                  ToTensor(states, state_size_),
                                  ToTensor(actions, action_size_)));
}

void DdpgLearner::Update(absl::Span<const Transition* const> batch) {
  UseOneThread();
  std::vector<float> states, actions, has, rewards, next_states, next_has,
      goes_on;
  const auto append = [](const std::vector<float>& from,
                         std::vector<float>* to) {
    to->insert(to->end(), from.begin(), from.end());
  };
  for (const Transition* step : batch) {
    const bool is_last = step->next_state.empty();
    append(step->state, &states);
    append(step->actions.values, &actions);
    append(step->actions.has, &has);
    append(is_last ? step->state : step->next_state, &next_states);
    append(is_last ? step->actions.has : step->next_has, &next_has);
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
                 Networks::Value(
                     n.target_critic, next,
                     Networks::Actions(n.target_actor, next,
                                       ToTensor(next_has, action_size_)));
  }
  n.critic_optimizer.zero_grad();
  torch::mse_loss(Networks::Value(n.critic, s, ToTensor(actions, action_size_)),
                  target)
      .backward();
  n.critic_optimizer.step();

  n.actor_optimizer.zero_grad();
  const torch::Tensor acted =
      Networks::Actions(n.actor, s, ToTensor(has, action_size_));
  const torch::Tensor value = Networks::Value(n.critic, s, acted);
  (-value.mean()).backward();
  n.actor_optimizer.step();

  n.target_actor.Follow(n.actor, kTargetRate);
  n.target_critic.Follow(n.critic, kTargetRate);
}

}  // namespace lathe

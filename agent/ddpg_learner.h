// Deep deterministic policy gradient (Lillicrap et al. 2016) for a few actions
// in [0, 1] a step.
#ifndef LATHE_AGENT_DDPG_LEARNER_H_
#define LATHE_AGENT_DDPG_LEARNER_H_

#include <cstdint>
#include <memory>
#include <vector>

#include "absl/types/span.h"

namespace lathe {

// The actions of one step.
struct StepActions {
  // In [0, 1]. An action that the step does not have is 1.
  std::vector<float> values;
  // 1 for an action that the step has, else 0.
  std::vector<float> has;
};

// One step that was executed.
struct Transition {
  std::vector<float> state;
  // What was executed.
  StepActions actions;
  float reward = 0;
  // Empty after the last step.
  std::vector<float> next_state;
  // StepActions::has of the next step.
  std::vector<float> next_has;
};

// Actor and critic have two hidden layers of 300, Adam at 1e-4 and 1e-3,
// targets that follow by 0.01 and no discount, as HAQ and AMC have. The weights
// start from the seed and nothing else is random: equal calls give equal
// results, whatever else runs in the process. Not thread-safe; computes on the
// caller's thread.
class DdpgLearner {
 public:
  DdpgLearner(int state_size, int action_size, uint64_t seed);
  ~DdpgLearner();
  DdpgLearner(const DdpgLearner&) = delete;
  DdpgLearner& operator=(const DdpgLearner&) = delete;

  // The actor's actions in each state; states and actions are concatenated.
  std::vector<float> Act(absl::Span<const float> states) const;
  // The critic's value of each (state, actions).
  std::vector<float> Value(absl::Span<const float> states,
                           absl::Span<const float> actions) const;

  // One step of both networks on a batch. REQUIRES: batch is not empty.
  void Update(absl::Span<const Transition* const> batch);

 private:
  struct Networks;
  const int state_size_;
  const int action_size_;
  const std::unique_ptr<Networks> networks_;
};

}  // namespace lathe

#endif  // LATHE_AGENT_DDPG_LEARNER_H_

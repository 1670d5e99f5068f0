// Deep deterministic policy gradient (Lillicrap et al. 2016) for one action in
// [0, 1] a step.
#ifndef LATHE_AGENT_DDPG_LEARNER_H_
#define LATHE_AGENT_DDPG_LEARNER_H_

#include <cstdint>
#include <memory>
#include <vector>

#include "absl/types/span.h"

namespace lathe {

// One step that was executed.
struct Transition {
  std::vector<float> state;
  // The action that was executed, in [0, 1].
  float action = 0;
  float reward = 0;
  // Empty after the last step.
  std::vector<float> next_state;
};

// Actor and critic have two hidden layers of 300, Adam at 1e-4 and 1e-3,
// targets that follow by 0.01 and no discount, as HAQ and AMC have. The weights
// start from the seed and nothing else is random: equal calls give equal
// results, whatever else runs in the process. Not thread-safe; computes on the
// caller's thread.
class DdpgLearner {
 public:
  DdpgLearner(int state_size, uint64_t seed);
  ~DdpgLearner();
  DdpgLearner(const DdpgLearner&) = delete;
  DdpgLearner& operator=(const DdpgLearner&) = delete;

  // The actor's action for each of `rows` states, concatenated in `states`.
  std::vector<float> Act(absl::Span<const float> states, int rows) const;
  // The critic's value of each (state, action).
  std::vector<float> Value(absl::Span<const float> states,
                           absl::Span<const float> actions) const;

  // One step of both networks on a batch. REQUIRES: batch is not empty.
  void Update(absl::Span<const Transition* const> batch);

 private:
  struct Networks;
  const int state_size_;
  const std::unique_ptr<Networks> networks_;
};

}  // namespace lathe

#endif  // LATHE_AGENT_DDPG_LEARNER_H_

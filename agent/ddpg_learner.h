// Deep deterministic policy gradient (Lillicrap et al. 2016) for one action in
// [0, 1] a step, with imitation of good actions (Fujimoto and Gu 2021).
#ifndef LATHE_AGENT_DDPG_LEARNER_H_
#define LATHE_AGENT_DDPG_LEARNER_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "absl/types/span.h"

namespace lathe {

// One step that was executed.
struct Transition {
  std::vector<float> state;
  // The action that was executed, in [0, 1].
  float action = 0;
  float reward = 0;
  // How strongly the actor is drawn to this action itself, besides where the
  // critic points; 0: not at all.
  float imitation = 0;
  // Empty after the last step.
  std::vector<float> next_state;
};

struct DdpgOptions {
  // Step sizes of Adam. HAQ's and AMC's are 1e-4 and 1e-3.
  double actor_rate = 1e-4;
  double critic_rate = 1e-3;
  // Weight of the critic's value against imitation, in units of the values'
  // own size; absent: no imitation, as published.
  std::optional<double> value_weight;
};

// Actor and critic have two hidden layers of 300, as HAQ and AMC have; targets
// follow by 0.01, no discount. The weights start from
// the seed and nothing else is random: equal calls give equal results, whatever
// else runs in the process. Not thread-safe; computes on the caller's thread.
class DdpgLearner {
 public:
  DdpgLearner(int state_size, uint64_t seed,
              const DdpgOptions& options = DdpgOptions());
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
  const DdpgOptions options_;
  const std::unique_ptr<Networks> networks_;
};

}  // namespace lathe

#endif  // LATHE_AGENT_DDPG_LEARNER_H_

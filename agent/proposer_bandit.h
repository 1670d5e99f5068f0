// Shares the trials between proposers by what they have gained.
#ifndef LATHE_AGENT_PROPOSER_BANDIT_H_
#define LATHE_AGENT_PROPOSER_BANDIT_H_

#include <vector>

#include "agent/random.h"
#include "agent/state_archive.h"

namespace lathe {

// Not thread-safe.
class ProposerBandit {
 public:
  explicit ProposerBandit(int proposers);

  // A proposer, in proportion to its recent gains; each has at least kFloor.
  int Draw(Random* random) const;
  // A trial of `proposer` gained `gain` >= 0.
  void Credit(int proposer, double gain);

  // See StateArchive.
  void Visit(StateArchive& archive) { archive(gains_); }

  static constexpr double kFloor = 0.08;

 private:
  std::vector<double> gains_;
};

}  // namespace lathe

#endif  // LATHE_AGENT_PROPOSER_BANDIT_H_

// A categorical policy over whatever choices a step has.
#ifndef LATHE_AGENT_CHOICE_NETWORK_H_
#define LATHE_AGENT_CHOICE_NETWORK_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "agent/state_archive.h"

namespace lathe {

// One step of a plan: what each allowed choice looks like, and which was taken.
struct ChoiceStep {
  // [allowed choices, feature size], row-major.
  std::vector<float> features;
  // Energy of each allowed choice, >= 0: the prior is exp(-alpha x energy).
  std::vector<float> energies;
  // Index among the allowed ones.
  int taken = 0;
  // By how much the logarithm of the taken choice's probability is wanted to
  // grow; negative: to fall.
  float weight = 0;
};

// logit of a choice = -alpha x energy + network(features). The network has two
// hidden layers of 64 and starts near 0, so that the first policy is the prior;
// alpha, positive, is learnt with it. All choices of all steps go through the
// same network, and so it fits spaces of any size. Its weights start from the
// seed and nothing else is random: equal calls give equal results. Not
// thread-safe; computes on the caller's thread.
class ChoiceNetwork {
 public:
  ChoiceNetwork(int feature_size, uint64_t seed);
  ~ChoiceNetwork();
  ChoiceNetwork(const ChoiceNetwork&) = delete;
  ChoiceNetwork& operator=(const ChoiceNetwork&) = delete;

  // Of each step, the probability of each allowed choice. `taken` and `weight`
  // do not matter.
  std::vector<std::vector<double>> Probabilities(
      absl::Span<const ChoiceStep> steps) const;

  // One step of Adam up the mean over the steps of
  // weight x log p(taken) + kEntropyWeight x entropy. REQUIRES: steps are not
  // empty, and each has an allowed choice.
  void Update(absl::Span<const ChoiceStep> steps);

  double alpha() const;

  // The weights, as Load takes them.
  std::string Save() const;
  // Takes over the weights of a network with features of the same number. False
  // for anything else, which changes nothing.
  bool Load(absl::string_view saved);

  // See StateArchive: the weights, and what Adam remembers.
  void Visit(StateArchive& archive);

  // Keeps choices open that are as good as the taken ones.
  static constexpr double kEntropyWeight = 0.003;

 private:
  struct Parts;
  const int feature_size_;
  const std::unique_ptr<Parts> parts_;
};

}  // namespace lathe

#endif  // LATHE_AGENT_CHOICE_NETWORK_H_

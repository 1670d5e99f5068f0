// What HAQ and AMC put around DDPG: state, action, constraint and reward.
#ifndef LATHE_AGENT_DDPG_METHOD_H_
#define LATHE_AGENT_DDPG_METHOD_H_

#include <vector>

#include "absl/types/span.h"
#include "agent/reachability.h"
#include "agent/search_core.h"
#include "proto/types.pb.h"

namespace lathe {

// HAQ: Wang et al., "HAQ: Hardware-Aware Automated Quantization with Mixed
// Precision", CVPR 2019, and the settings of its published code.
// AMC: He et al., "AMC: AutoML for Model Compression and Acceleration on Mobile
// Devices", ECCV 2018.
//
// Where this differs from the papers: HAQ decides bits and AMC channels, one
// action a layer; here both decide both, two actions a layer, so that they can
// reach what the other agents reach. Episodes are as few as trials are, and so
// the share of them that is warm-up is kept instead of its number. A job
// without a budget searches for several: of AMC each anew, as both papers do;
// of HAQ by the same networks, which its state tells the budget. Immutable.
struct DdpgMethod {
  enum Kind { kHaq, kAmc };

  const char* name;
  Kind kind;
  // Episodes of random actions, and of the policy's, in the source.
  int warm_up_episodes;
  int episodes;
  // The noise's standard deviation is multiplied by this after every episode
  // of the policy's.
  double noise_decay;

  static const DdpgMethod& Haq();
  static const DdpgMethod& Amc();

  static constexpr double kFirstNoise = 0.5;

  // A step decides what stands together of one layer: its precision, and the
  // channels of the group whose first layer it is.
  enum Axis { kPrecision, kChannels, kAxisCount };
  static Axis AxisOf(const Decision& decision) {
    return decision.is_keep ? kChannels : kPrecision;
  }

  // HAQ: (index, channels in, channels out, kernel, stride, size of the feature
  // map, parameters, depthwise?, budget, last actions).
  // AMC: (index, channels out, channels in, height, width, stride, kernel,
  // MACs, reduced so far, rest, last actions); what is reduced and left is
  // latency, or size where that alone matters.
  // The budget is `looseness`. All are from 0 for the least in the network to 1
  // for the most. `last_actions` has kAxisCount. REQUIRES: not complete.
  std::vector<float> State(const SearchCore& core, const PrefixWalker& walker,
                           double looseness,
                           absl::Span<const float> last_actions) const;
  int StateSize() const { return kAxisCount + (kind == kHaq ? 9 : 10); }

  // Whether one search serves all budgets of a job.
  bool shares_networks() const { return kind == kHaq; }

  // The choice that an action in [0, 1] means; 1 is the mildest. Bits are
  // spread linearly and rounded: b = round(b_min - 0.5 + a (b_max - b_min + 1))
  // (HAQ, equation 2). AMC's channels are the share a of them, rounded to the
  // nearest that is legal.
  int ToChoice(const DecisionSpace& space, const Decision& decision,
               double action) const;
  // The middle of the actions that mean `choice`.
  double ToAction(const DecisionSpace& space, const Decision& decision,
                  int choice) const;

  // AMC bounds each action so that the budget stays within reach (algorithm 1);
  // HAQ lets the episode end and then lowers bits layer by layer, from the last
  // on and in turn, until the budget is met (its published code).
  bool bounds_actions() const { return kind == kAmc; }

  // HAQ: 0.1 (accuracy - original's), in percent. AMC: -error. Of a plan that
  // cannot work: that of an accuracy of 0.
  double Reward(const v1::Measurement& baseline, const v1::Trial& trial) const;
};

// `choices` with one decision after the other made a step harsher, from the
// last on and in turn, until the prediction is within `limits` or nothing
// harsher is left (HAQ).
Choices LoweredToLimits(const SearchCore& core, Choices choices,
                        const Limits& limits);

}  // namespace lathe

#endif  // LATHE_AGENT_DDPG_METHOD_H_

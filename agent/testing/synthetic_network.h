// A network that exists only as formulas: latency, size, KL divergence and
// accuracy of any plan in closed form, shaped like a residual CNN on a CPU.
//
// What is real about it: large layers gain most from int8, depthwise layers
// lose; few channels run below peak; every precision change costs a reorder;
// sensitivities differ by a factor of 50 between layers; first and last layers
// are sensitive; pruning hurts faster than linearly, and more next to a pruned
// or coarsely quantised neighbour.
#ifndef LATHE_AGENT_TESTING_SYNTHETIC_NETWORK_H_
#define LATHE_AGENT_TESTING_SYNTHETIC_NETWORK_H_

#include <cstdint>
#include <vector>

#include "agent/agent.h"
#include "proto/types.pb.h"

namespace lathe {

struct SyntheticOptions {
  int layers = 20;
  int keep_levels = 6;
  // Also offer BF16, and INT8 weights below 8 bits.
  bool has_bf16 = true;
  bool has_low_bits = true;
  // Other networks of the same kind.
  uint64_t variant = 0;
};

// Immutable: equal plans always measure the same.
class SyntheticNetwork {
 public:
  // What every change of precision between neighbours costs; not in the table.
  static constexpr double kReorderUs = 1.5;

  explicit SyntheticNetwork(const SyntheticOptions& options);

  // Space, table and baseline; no budget, objective latency.
  AgentContext Context(uint64_t seed, int64_t trials) const;
  v1::Measurement Measure(const v1::CompressionPlan& plan) const;
  // A MEASURED trial of the proposal.
  v1::Trial Run(const v1::Proposal& proposal, int64_t number) const;

 private:
  double KernelUs(int layer, v1::Precision precision, int64_t in,
                  int64_t out) const;
  double LatencyUs(const v1::CompressionPlan& plan) const;
  double Divergence(const v1::CompressionPlan& plan) const;
  int64_t InChannels(const v1::CompressionPlan& plan, int layer) const;

  v1::SearchSpace space_;
  std::vector<double> quantization_sensitivity_;
  std::vector<double> pruning_sensitivity_;
};

}  // namespace lathe

#endif  // LATHE_AGENT_TESTING_SYNTHETIC_NETWORK_H_

#include "agent/ddpg_method.h"

#include <algorithm>
#include <cmath>

namespace lathe {
namespace {

constexpr DdpgMethod kHaqMethod = {"haq", DdpgMethod::kHaq, 20, 600, 0.99};
constexpr DdpgMethod kAmcMethod = {"amc", DdpgMethod::kAmc, 100, 400, 0.95};

// A number of a layer, from 0 for the least in the network to 1 for the most; 1
// where all are alike.
template <typename Number>
float Share(const SearchCore& core, const v1::Layer& layer, Number number) {
  const double own = static_cast<double>(number(layer));
  double least = own;
  double most = own;
  for (const v1::Layer& other : core.space().space().layers()) {
    least = std::min(least, static_cast<double>(number(other)));
    most = std::max(most, static_cast<double>(number(other)));
  }
  if (most == least) return 1;
  return static_cast<float>((own - least) / (most - least));
}

double Side(const v1::Layer& layer) {
  return std::sqrt(static_cast<double>(layer.in_pixels()));
}

// Shares of the baseline's cost.
struct Progress {
  double reduced = 0;
  double rest = 0;
};

Progress ProgressOf(const SearchCore& core, const PrefixWalker& walker) {
  const DecisionSpace& space = core.space();
  const CostModel& costs = core.costs();
  const bool is_latency = core.objective().has_latency() ||
                          core.objective().budget().latency_ratio.has_value();
  const auto pick = [is_latency](auto cost) {
    return is_latency ? cost.us : cost.bytes;
  };
  const double whole =
      is_latency ? costs.baseline_us() : costs.baseline_bytes();
  const double fixed = is_latency ? costs.FixedUs() : costs.FixedBytes();
  const std::vector<int> uncompressed(space.groups().size(), 0);
  double decided = 0;
  Progress progress;
  for (int i = 0; i < space.space().layers_size(); ++i) {
    const double cost = pick(costs.CostOf(i, 0, uncompressed));
    const bool is_decided =
        space.option_decision(i) < static_cast<int>(walker.choices().size());
    (is_decided ? decided : progress.rest) += cost / whole;
  }
  progress.reduced = decided - (pick(walker.spent()) - fixed) / whole;
  return progress;
}

// The bits, or the step of a list, that an action means.
int LinearChoice(int count, double action) {
  const int from_harshest =
      static_cast<int>(std::lround(-0.5 + action * count));
  return count - 1 - std::clamp(from_harshest, 0, count - 1);
}

}  // namespace

const DdpgMethod& DdpgMethod::Haq() { return kHaqMethod; }
const DdpgMethod& DdpgMethod::Amc() { return kAmcMethod; }

std::vector<float> DdpgMethod::State(
    const SearchCore& core, const PrefixWalker& walker, double looseness,
    absl::Span<const float> last_actions) const {
  const Decision& decision = walker.next();
  const v1::Layer& layer = core.space().space().layers(decision.layer);
  const float index = static_cast<float>(walker.choices().size()) /
                      static_cast<float>(core.space().size());
  const float in =
      Share(core, layer, [](const v1::Layer& l) { return l.in_channels(); });
  const float out =
      Share(core, layer, [](const v1::Layer& l) { return l.out_channels(); });
  const float kernel =
      Share(core, layer, [](const v1::Layer& l) { return l.kernel_width(); });
  const float stride =
      Share(core, layer, [](const v1::Layer& l) { return l.stride(); });
  const float side = Share(core, layer, Side);
  std::vector<float> state;
  if (kind == kHaq) {
    const float parameters =
        Share(core, layer, [](const v1::Layer& l) { return l.parameters(); });
    const float depthwise = layer.kind() == "depthwise_conv" ? 1 : 0;
    state = {index,      in,        out,
             kernel,     stride,    side,
             parameters, depthwise, static_cast<float>(looseness)};
  } else {
    const float macs =
        Share(core, layer, [](const v1::Layer& l) { return l.macs(); });
    const Progress progress = ProgressOf(core, walker);
    state = {index,
             out,
             in,
             side,
             side,
             stride,
             kernel,
             macs,
             static_cast<float>(progress.reduced),
             static_cast<float>(progress.rest)};
  }
  state.insert(state.end(), last_actions.begin(), last_actions.end());
  return state;
}

int DdpgMethod::ToChoice(const DecisionSpace& space, const Decision& decision,
                         double action) const {
  if (kind == kHaq || !decision.is_keep) {
    return LinearChoice(decision.count, action);
  }
  const std::vector<double>& ratios =
      space.groups()[decision.group].keep_ratios;
  int nearest = 0;
  for (size_t c = 1; c < ratios.size(); ++c) {
    if (std::abs(ratios[c] - action) < std::abs(ratios[nearest] - action)) {
      nearest = static_cast<int>(c);
    }
  }
  return nearest;
}

double DdpgMethod::ToAction(const DecisionSpace& space,
                            const Decision& decision, int choice) const {
  if (kind == kHaq || !decision.is_keep) {
    return (decision.count - 1 - choice + 0.5) / decision.count;
  }
  return space.groups()[decision.group].keep_ratios[choice];
}

double DdpgMethod::Reward(const v1::Measurement& baseline,
                          const v1::Trial& trial) const {
  constexpr double kScale = 0.1;
  const double accuracy =
      trial.state() == v1::TRIAL_MEASURED ? trial.measurement().accuracy() : 0;
  return kind == kHaq ? kScale * 100 * (accuracy - baseline.accuracy())
                      : accuracy - 1;
}

Choices LoweredToLimits(const SearchCore& core, Choices choices,
                        const Limits& limits) {
  bool is_lower = true;
  while (is_lower) {
    is_lower = false;
    for (size_t d = choices.size(); d-- > 0;) {
      if (core.IsWithin(choices, limits)) return choices;
      if (choices[d] + 1 >= core.space().decisions()[d].count) continue;
      ++choices[d];
      is_lower = true;
    }
  }
  return choices;
}

}  // namespace lathe

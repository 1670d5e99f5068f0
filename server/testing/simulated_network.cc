#include "server/testing/simulated_network.h"

#include <cmath>

#include "absl/strings/str_cat.h"
#include "proto/plan.h"

namespace lathe::testing {
namespace {

constexpr int kLayers = 3;
constexpr int64_t kChannels = 16;
constexpr double kBaselineLatencyUs = 1000;
constexpr int64_t kBaselineBytes = 100'000;
constexpr double kBaselineAccuracy = 0.9;
constexpr int64_t kSamples = 1000;

void AddPrecision(v1::Layer& layer, v1::Precision precision, int bits) {
  v1::PrecisionOption& option = *layer.add_precisions();
  option.set_precision(precision);
  option.set_weight_bits(bits);
}

v1::Layer SimulatedLayer(int index) {
  v1::Layer layer;
  layer.set_name(absl::StrCat("conv", index));
  layer.set_kind("conv");
  layer.set_in_channels(kChannels);
  layer.set_out_channels(kChannels);
  layer.set_kernel_height(3);
  layer.set_kernel_width(3);
  layer.set_stride(1);
  layer.set_out_pixels(64);
  layer.set_in_pixels(64);
  layer.set_macs(kChannels * kChannels * 9 * 64);
  layer.set_parameters(kChannels * kChannels * 9);
  AddPrecision(layer, v1::F32, 32);
  AddPrecision(layer, v1::INT8, 8);
  AddPrecision(layer, v1::INT8, 4);
  layer.add_keep_ratios(1);
  layer.add_keep_ratios(0.5);
  layer.set_group(index);
  if (index > 0) layer.add_input_groups(index - 1);
  return layer;
}

v1::LatencyTable SimulatedTable() {
  v1::LatencyTable table;
  for (int layer = 0; layer < kLayers; ++layer) {
    for (const v1::Precision precision : {v1::F32, v1::INT8}) {
      for (const int64_t in : {kChannels / 2, kChannels}) {
        for (const int64_t out : {kChannels / 2, kChannels}) {
          v1::LatencyTable::Entry& entry = *table.add_entries();
          entry.set_layer(layer);
          entry.set_precision(precision);
          entry.set_in_channels(in);
          entry.set_out_channels(out);
          entry.set_latency_us((precision == v1::INT8 ? 0.4 : 1.0) *
                               static_cast<double>(in * out));
        }
      }
    }
  }
  table.set_other_us(10);
  *table.mutable_profile() = SimulatedProfile();
  return table;
}

// What a choice saves of a layer's time and bytes, and costs of accuracy.
struct Effect {
  double latency_ratio = 1;
  double size_ratio = 1;
  double divergence = 0;
};

Effect EffectOf(const v1::LayerChoice& choice, int index) {
  Effect effect;
  effect.size_ratio = choice.weight_bits() / 32.0 * choice.keep_ratio();
  effect.latency_ratio =
      (choice.precision() == v1::INT8 ? 0.4 : 1.0) * choice.keep_ratio();
  effect.divergence = (index + 1) * (std::pow(2.0, -choice.weight_bits()) +
                                     0.05 * (1 - choice.keep_ratio()));
  return effect;
}

v1::Measurement Measure(const v1::CompressionPlan& plan) {
  Effect sum{0, 0, 0};
  for (int i = 0; i < plan.layers_size(); ++i) {
    const Effect effect = EffectOf(plan.layers(i), i);
    sum.latency_ratio += effect.latency_ratio / kLayers;
    sum.size_ratio += effect.size_ratio / kLayers;
    sum.divergence += effect.divergence;
  }
  v1::Measurement m;
  m.set_metric("top1");
  m.set_correct(
      std::llround(kSamples * kBaselineAccuracy * std::exp(-sum.divergence)));
  m.set_samples(kSamples);
  m.set_accuracy(static_cast<double>(m.correct()) / kSamples);
  m.set_accuracy_low(m.accuracy() * 0.98);
  m.set_accuracy_high(std::fmin(1, m.accuracy() * 1.02));
  // Not the search split's, so that a leak would show.
  m.set_report_correct(m.correct() - 7);
  m.set_report_samples(kSamples);
  m.set_report_accuracy(static_cast<double>(m.report_correct()) / kSamples);
  m.set_kl_divergence(sum.divergence);
  m.set_latency_us(kBaselineLatencyUs * sum.latency_ratio);
  m.set_latency_us_p05(m.latency_us() * 0.99);
  m.set_latency_us_p95(m.latency_us() * 1.01);
  m.set_latency_ratio(sum.latency_ratio);
  m.set_latency_ratio_low(sum.latency_ratio * 0.99);
  m.set_latency_ratio_high(sum.latency_ratio * 1.01);
  m.set_baseline_latency_us(kBaselineLatencyUs);
  m.set_latency_repeats(100);
  m.set_size_bytes(std::llround(kBaselineBytes * sum.size_ratio));
  m.set_packed_bytes(m.size_bytes());
  m.set_entropy_bytes(m.size_bytes());
  m.set_macs(1000);
  *m.mutable_profile() = SimulatedProfile();
  m.set_evaluator_version("simulated-1");
  m.set_evaluation_seconds(0.001);
  return m;
}

}  // namespace

v1::SearchSpace SimulatedSpace() {
  v1::SearchSpace space;
  for (int i = 0; i < kLayers; ++i) *space.add_layers() = SimulatedLayer(i);
  return space;
}

v1::HardwareProfile SimulatedProfile() {
  v1::HardwareProfile profile;
  profile.set_cpu("simulated");
  profile.set_isa("avx2");
  profile.set_threads(1);
  profile.set_onednn("2.6.3");
  return profile;
}

v1::Outcome SimulatedOutcome(const v1::Lease& lease) {
  v1::Outcome outcome;
  outcome.set_kind(v1::MEASURED);
  if (lease.trial_number() > 0) {
    *outcome.mutable_measurement() = Measure(lease.plan());
    return outcome;
  }
  *outcome.mutable_measurement() = Measure(BaselinePlan(SimulatedSpace()));
  *outcome.mutable_baseline()->mutable_space() = SimulatedSpace();
  *outcome.mutable_baseline()->mutable_latency_table() = SimulatedTable();
  return outcome;
}

}  // namespace lathe::testing

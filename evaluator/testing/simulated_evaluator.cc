#include "evaluator/testing/simulated_evaluator.h"

#include <algorithm>
#include <cmath>
#include <string>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/digest.h"
#include "base/numeric.h"
#include "base/status.h"
#include "proto/plan.h"

namespace lathe {
namespace {

constexpr double kBaseAccuracy = 0.92;
// Microseconds that no plan saves.
constexpr double kFixedUs = 20;
constexpr double kMacsPerUs = 50'000;
constexpr int64_t kFileBytes = 1000;
constexpr char kStats[] = "simulated statistics\n";

double Speed(v1::Precision precision) {
  switch (precision) {
    case v1::INT8:
    case v1::INT8_DYNAMIC:
      return 4;
    case v1::BF16:
      return 2;
    default:
      return 1;
  }
}

// In [-1, 1], by the plan and `salt`.
double Noise(const v1::CompressionPlan& plan, uint64_t salt) {
  uint64_t bits = 0;
  if (!absl::SimpleHexAtoi(PlanDigest(plan).substr(0, 16), &bits)) return 0;
  return static_cast<double>(MixSeed(bits, salt) >> 11) / (1ull << 52) - 1;
}

// What quantising and pruning layer `i` adds to the divergence.
double Damage(const v1::LayerChoice& choice, int i) {
  const double sensitivity = 1.0 / (1 + i) + 0.1;
  const double rounding =
      choice.precision() == v1::INT8
          ? 0.4 * std::exp2(-2.0 * (choice.weight_bits() - 2))
          : 0;
  const double lost = 1 - choice.keep_ratio();
  return sensitivity * (rounding + 0.3 * lost * lost);
}

struct LayerCost {
  double macs = 0;
  double us = 0;
  double bytes = 0;
};

LayerCost CostOf(const v1::Layer& layer, const v1::LayerChoice& choice,
                 double input_keep_ratio) {
  const double kept = choice.keep_ratio() * input_keep_ratio;
  LayerCost cost;
  cost.macs = layer.macs() * kept;
  cost.us = cost.macs / kMacsPerUs / Speed(choice.precision());
  cost.bytes = layer.parameters() * kept * choice.weight_bits() / 8;
  return cost;
}

v1::HardwareProfile SimulatedProfile() {
  v1::HardwareProfile profile;
  profile.set_cpu("simulated");
  profile.set_isa("none");
  profile.set_threads(1);
  profile.set_onednn("0");
  return profile;
}

}  // namespace

v1::SearchSpace MakeSimulatedSpace(int layers) {
  v1::SearchSpace space;
  int groups = 0;
  for (int i = 0; i < layers; ++i) {
    v1::Layer* layer = space.add_layers();
    const bool is_trunk = i % 2 == 1 && i + 1 < layers;
    layer->set_name(absl::StrCat("conv", i));
    layer->set_kind("conv");
    layer->set_in_channels(i == 0 ? 4 : 16);
    layer->set_out_channels(16);
    layer->set_kernel_height(3);
    layer->set_kernel_width(3);
    layer->set_stride(1);
    layer->set_in_pixels(256);
    layer->set_out_pixels(256);
    layer->set_parameters(layer->in_channels() * 16 * 9);
    layer->set_macs(layer->parameters() * layer->out_pixels());
    const auto offer = [layer](v1::Precision precision, int bits) {
      v1::PrecisionOption* option = layer->add_precisions();
      option->set_precision(precision);
      option->set_weight_bits(bits);
    };
    offer(v1::F32, 32);
    offer(v1::BF16, 16);
    for (const int bits : {8, 4, 3, 2}) offer(v1::INT8, bits);
    layer->add_keep_ratios(1);
    if (i + 1 < layers) {
      for (const double ratio : {0.75, 0.5, 0.25}) {
        layer->add_keep_ratios(ratio);
      }
    }
    // The first trunk layer opens the trunk's group, later ones share it.
    layer->set_group(is_trunk && i > 1 ? space.layers(1).group() : groups++);
    if (i > 0) layer->add_input_groups(space.layers(i - 1).group());
  }
  return space;
}

Evaluation SimulatedEvaluator::Simulate(const v1::CompressionPlan& plan) const {
  double damage = 0;
  LayerCost total;
  Evaluation evaluation;
  v1::Measurement& measurement = evaluation.measurement;
  for (int i = 0; i < space_.layers_size(); ++i) {
    const v1::LayerChoice& choice = plan.layers(i);
    const double input_ratio = i == 0 ? 1 : plan.layers(i - 1).keep_ratio();
    const LayerCost cost = CostOf(space_.layers(i), choice, input_ratio);
    damage += Damage(choice, i);
    total.macs += cost.macs;
    total.us += cost.us;
    total.bytes += cost.bytes;
    v1::MeasuredLayer* layer = measurement.add_layers();
    layer->set_name(space_.layers(i).name());
    *layer->mutable_choice() = choice;
    layer->set_channels(
        KeptChannels(space_.layers(i).out_channels(), choice.keep_ratio()));
  }
  const bool is_baseline = damage == 0;
  const auto accuracy = [&](uint64_t salt) {
    const double noise = is_baseline ? 0 : 0.002 * Noise(plan, salt);
    return std::clamp(kBaseAccuracy * std::exp(-damage) + noise, 0.0, 1.0);
  };
  const int64_t samples = options_.samples;
  measurement.set_metric("top1");
  measurement.set_samples(samples);
  measurement.set_correct(std::llround(accuracy(1) * samples));
  measurement.set_accuracy(measurement.correct() * 1.0 / samples);
  const Interval interval = WilsonInterval(measurement.correct(), samples);
  measurement.set_accuracy_low(interval.low);
  measurement.set_accuracy_high(interval.high);
  measurement.set_report_samples(samples);
  measurement.set_report_correct(std::llround(accuracy(2) * samples));
  measurement.set_report_accuracy(measurement.report_correct() * 1.0 / samples);
  measurement.set_kl_divergence(damage);

  double baseline_us = kFixedUs;
  for (const v1::Layer& layer : space_.layers()) {
    baseline_us += layer.macs() / kMacsPerUs;
  }
  const double us = kFixedUs + total.us;
  measurement.set_latency_us(us);
  measurement.set_latency_us_p05(0.98 * us);
  measurement.set_latency_us_p95(1.05 * us);
  measurement.set_latency_ratio(us / baseline_us);
  measurement.set_latency_ratio_low(is_baseline ? 1 : 0.99 * us / baseline_us);
  measurement.set_latency_ratio_high(is_baseline ? 1 : 1.01 * us / baseline_us);
  measurement.set_baseline_latency_us(baseline_us);
  measurement.set_latency_repeats(30);
  measurement.set_size_bytes(kFileBytes + std::llround(total.bytes));
  measurement.set_packed_bytes(std::llround(total.bytes));
  measurement.set_entropy_bytes(std::llround(0.9 * total.bytes));
  measurement.set_macs(std::llround(total.macs));
  measurement.set_peak_activation_bytes(32768);
  *measurement.mutable_profile() = SimulatedProfile();
  measurement.set_evaluator_version("simulated-1");
  measurement.set_evaluation_seconds(absl::ToDoubleSeconds(options_.pause));
  evaluation.artifact =
      absl::StrCat("simulated model ", PlanDigest(plan), "\n");
  return evaluation;
}

absl::StatusOr<BaselineEvaluation> SimulatedEvaluator::EvaluateBaseline() {
  absl::SleepFor(options_.pause);
  BaselineEvaluation baseline;
  baseline.evaluation = Simulate(BaselinePlan(space_));
  *baseline.report.mutable_space() = space_;
  v1::LatencyTable* table = baseline.report.mutable_latency_table();
  table->set_other_us(kFixedUs);
  *table->mutable_profile() = SimulatedProfile();
  for (int i = 0; i < space_.layers_size(); ++i) {
    const v1::Layer& layer = space_.layers(i);
    for (const v1::Precision precision : {v1::F32, v1::BF16, v1::INT8}) {
      for (const double ratio : layer.keep_ratios()) {
        v1::LayerChoice choice;
        choice.set_precision(precision);
        choice.set_keep_ratio(ratio);
        v1::LatencyTable::Entry* entry = table->add_entries();
        entry->set_layer(i);
        entry->set_precision(precision);
        entry->set_in_channels(layer.in_channels());
        entry->set_out_channels(KeptChannels(layer.out_channels(), ratio));
        entry->set_latency_us(CostOf(layer, choice, 1).us);
      }
    }
  }
  baseline.activation_stats = kStats;
  baseline.report.set_activation_stats_digest(Sha256Hex(kStats));
  return baseline;
}

absl::StatusOr<Evaluation> SimulatedEvaluator::Evaluate(
    const v1::CompressionPlan& plan) {
  LATHE_RETURN_IF_ERROR(ValidatePlan(space_, plan));
  absl::SleepFor(options_.pause);
  if (plan.layers(0).weight_bits() == 2) {
    return absl::FailedPreconditionError(
        "layer conv0: weight_bits = 2, which the simulated model cannot bear");
  }
  return Simulate(plan);
}

}  // namespace lathe

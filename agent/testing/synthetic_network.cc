#include "agent/testing/synthetic_network.h"

#include <algorithm>
#include <cmath>
#include <string>

#include "absl/strings/str_cat.h"
#include "base/numeric.h"
#include "proto/plan.h"

namespace lathe {
namespace {

constexpr double kOtherUs = 12;
constexpr double kBaselineAccuracy = 0.918;
constexpr int64_t kSamples = 4000;

// In [0, 1), from two numbers.
double Hash(uint64_t a, uint64_t b) {
  return static_cast<double>(MixSeed(a, b) >> 11) * 0x1.0p-53;
}

// Layers come in blocks of two: the first prunable by itself, the second tied
// to its stage's residual additions.
constexpr int kBlock = 2;

}  // namespace

SyntheticNetwork::SyntheticNetwork(const SyntheticOptions& options) {
  const int stages = 3;
  int next_group = 0;
  int stage_group = -1;
  int previous_group = -1;
  int64_t previous_channels = 3;
  for (int i = 0; i < options.layers; ++i) {
    const int stage = std::min(stages - 1, i * stages / options.layers);
    const bool starts_stage =
        i == 0 ||
        stage != std::min(stages - 1, (i - 1) * stages / options.layers);
    const bool is_last = i + 1 == options.layers;
    v1::Layer* layer = space_.add_layers();
    layer->set_name(absl::StrCat("layer_", i));
    layer->set_kind(is_last && i > 0 ? "linear" : "conv");
    const int64_t channels = is_last ? 10 : 32LL << stage;
    const int64_t pixels = is_last ? 1 : 1024LL >> (2 * stage);
    const int64_t kernel = is_last ? 1 : 3;
    layer->set_in_channels(previous_channels);
    layer->set_out_channels(channels);
    layer->set_kernel_height(kernel);
    layer->set_kernel_width(kernel);
    layer->set_stride(starts_stage && i > 0 ? 2 : 1);
    layer->set_out_pixels(pixels);
    layer->set_in_pixels(pixels * layer->stride() * layer->stride());
    layer->set_parameters(previous_channels * channels * kernel * kernel);
    layer->set_macs(layer->parameters() * pixels);
    const auto add_option = [layer](v1::Precision precision, int bits) {
      v1::PrecisionOption* option = layer->add_precisions();
      option->set_precision(precision);
      option->set_weight_bits(bits);
    };
    add_option(v1::F32, 32);
    if (options.has_bf16) add_option(v1::BF16, 16);
    add_option(v1::INT8, 8);
    if (options.has_low_bits) {
      for (const int bits : {6, 4, 2}) add_option(v1::INT8, bits);
    }
    const int levels = is_last ? 1 : options.keep_levels;
    for (int level = 0; level < levels; ++level) {
      layer->add_keep_ratios(1 - 0.75 * level / std::max(1, levels - 1));
    }
    if (starts_stage) stage_group = next_group++;
    const bool is_inner = i % kBlock == 1 && !starts_stage;
    const int group = is_inner || is_last ? next_group++ : stage_group;
    layer->set_group(group);
    if (previous_group >= 0) layer->add_input_groups(previous_group);
    previous_group = group;
    previous_channels = channels;

    const uint64_t key = MixSeed(options.variant, i);
    const double edge = i == 0 || is_last ? 4 : 1;
    quantization_sensitivity_.push_back(edge * 0.0015 *
                                        std::exp(3 * (Hash(key, 1) - 0.5)));
    pruning_sensitivity_.push_back(edge * 0.10 *
                                   std::exp(4 * (Hash(key, 2) - 0.5)));
  }
}

double SyntheticNetwork::KernelUs(int layer, v1::Precision precision,
                                  int64_t in, int64_t out) const {
  const v1::Layer& l = space_.layers(layer);
  const double macs = static_cast<double>(l.out_pixels()) * l.kernel_height() *
                      l.kernel_width() * in * out;
  // Blocks of 16 channels are computed whole, narrow layers below peak.
  const double padded = macs * (std::ceil(out / 16.0) * 16 / out);
  const double peak = 57e3;  // Multiply-accumulates per microsecond, f32.
  const double speed = precision == v1::INT8   ? 3.9
                       : precision == v1::BF16 ? 2.0
                                               : 1.0;
  const double width = std::min<double>(in, out);
  const double use = width / (width + 8);
  return padded / (peak * speed * use) + 0.8;
}

int64_t SyntheticNetwork::InChannels(const v1::CompressionPlan& plan,
                                     int layer) const {
  if (layer == 0) return space_.layers(0).in_channels();
  return KeptChannels(space_.layers(layer).in_channels(),
                      plan.layers(layer - 1).keep_ratio());
}

double SyntheticNetwork::LatencyUs(const v1::CompressionPlan& plan) const {
  double us = kOtherUs;
  for (int i = 0; i < plan.layers_size(); ++i) {
    const v1::LayerChoice& choice = plan.layers(i);
    // In the network caches are colder than in the table.
    us += 1.12 * KernelUs(i, choice.precision(), InChannels(plan, i),
                          KeptChannels(space_.layers(i).out_channels(),
                                       choice.keep_ratio()));
    if (i > 0 && choice.precision() != plan.layers(i - 1).precision()) {
      us += kReorderUs;
    }
  }
  return us;
}

double SyntheticNetwork::Divergence(const v1::CompressionPlan& plan) const {
  double sum = 0;
  double neighbour = 0;
  double interaction = 0;
  for (int i = 0; i < plan.layers_size(); ++i) {
    const v1::LayerChoice& choice = plan.layers(i);
    double harm = 0;
    if (choice.precision() == v1::BF16) {
      harm += 0.02 * quantization_sensitivity_[i];
    } else if (choice.precision() == v1::INT8) {
      harm += quantization_sensitivity_[i] *
              std::pow(3.2, 8 - choice.weight_bits());
    }
    const double lost = 1 - choice.keep_ratio();
    harm += pruning_sensitivity_[i] * std::pow(lost, 2.2);
    sum += harm;
    interaction += 0.8 * std::sqrt(harm * neighbour);
    neighbour = harm;
  }
  return sum + interaction;
}

v1::Measurement SyntheticNetwork::Measure(
    const v1::CompressionPlan& plan) const {
  v1::Measurement m;
  const double baseline_us = LatencyUs(BaselinePlan(space_));
  const double kl = Divergence(plan);
  m.set_metric("top1");
  // Accuracy comes in whole samples, and falls to chance.
  const double accuracy =
      0.1 + (kBaselineAccuracy - 0.1) * std::exp(-0.35 * std::pow(kl, 1.1));
  m.set_samples(kSamples);
  m.set_correct(std::llround(accuracy * kSamples));
  m.set_accuracy(static_cast<double>(m.correct()) / kSamples);
  m.set_kl_divergence(kl);
  m.set_latency_us(LatencyUs(plan));
  m.set_baseline_latency_us(baseline_us);
  m.set_latency_ratio(m.latency_us() / baseline_us);
  double bytes = 5000;
  for (int i = 0; i < plan.layers_size(); ++i) {
    const v1::Layer& layer = space_.layers(i);
    const double weights = static_cast<double>(layer.parameters()) *
                           static_cast<double>(InChannels(plan, i)) /
                           static_cast<double>(layer.in_channels()) *
                           plan.layers(i).keep_ratio();
    bytes += weights * (plan.layers(i).precision() == v1::INT8 ? 1 : 4);
  }
  m.set_size_bytes(std::llround(bytes));
  return m;
}

v1::Trial SyntheticNetwork::Run(const v1::Proposal& proposal,
                                int64_t number) const {
  v1::Trial trial;
  trial.set_number(number);
  trial.set_state(v1::TRIAL_MEASURED);
  *trial.mutable_proposal() = proposal;
  trial.set_plan_digest(PlanDigest(proposal.plan()));
  *trial.mutable_measurement() = Measure(proposal.plan());
  return trial;
}

AgentContext SyntheticNetwork::Context(uint64_t seed, int64_t trials) const {
  AgentContext context;
  context.space = space_;
  context.baseline = Measure(BaselinePlan(space_));
  context.objectives = {"latency"};
  context.seed = seed;
  context.trials = trials;
  context.latency_table.set_other_us(kOtherUs);
  for (int i = 0; i < space_.layers_size(); ++i) {
    const v1::Layer& layer = space_.layers(i);
    for (const v1::Precision precision : {v1::F32, v1::BF16, v1::INT8}) {
      // Like the worker's: uniform settings only.
      for (const double level : {1.0, 0.75, 0.5, 0.25}) {
        const int64_t in = i == 0 ? layer.in_channels()
                                  : KeptChannels(layer.in_channels(), level);
        const int64_t out = layer.keep_ratios_size() == 1
                                ? layer.out_channels()
                                : KeptChannels(layer.out_channels(), level);
        v1::LatencyTable::Entry* entry = context.latency_table.add_entries();
        entry->set_layer(i);
        entry->set_precision(precision);
        entry->set_in_channels(in);
        entry->set_out_channels(out);
        entry->set_latency_us(KernelUs(i, precision, in, out));
      }
    }
  }
  return context;
}

}  // namespace lathe

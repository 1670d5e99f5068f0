#include "client/point_json.h"

#include <cstdint>
#include <string>

#include "base/numeric.h"
#include "proto/names.h"
#include "proto/plan.h"

namespace lathe {
namespace {

nlohmann::json ChoiceToJson(const v1::LayerChoice& choice) {
  return {{"precision", std::string(PrecisionName(choice.precision()))},
          {"weight_bits", choice.weight_bits()},
          {"keep_ratio", choice.keep_ratio()}};
}

nlohmann::json MeasuredPlanToJson(const v1::Measurement& measurement) {
  nlohmann::json layers = nlohmann::json::array();
  for (const v1::MeasuredLayer& measured : measurement.layers()) {
    nlohmann::json layer = ChoiceToJson(measured.choice());
    layer["name"] = measured.name();
    layer["channels"] = measured.channels();
    layers.push_back(std::move(layer));
  }
  return {{"layers", std::move(layers)}};
}

nlohmann::json ProposedPlanToJson(const v1::CompressionPlan& plan,
                                  const v1::SearchSpace* space) {
  const bool has_names =
      space != nullptr && space->layers_size() == plan.layers_size();
  nlohmann::json layers = nlohmann::json::array();
  for (int i = 0; i < plan.layers_size(); ++i) {
    nlohmann::json layer = ChoiceToJson(plan.layers(i));
    if (has_names) {
      layer["name"] = space->layers(i).name();
      layer["channels"] = KeptChannels(space->layers(i).out_channels(),
                                       plan.layers(i).keep_ratio());
    }
    layers.push_back(std::move(layer));
  }
  return {{"layers", std::move(layers)}};
}

void AddAccuracy(const v1::Measurement& measurement, nlohmann::json& point) {
  point["metric"] = measurement.metric();
  point["accuracy"] = measurement.accuracy();
  point["accuracy_low"] = measurement.accuracy_low();
  point["accuracy_high"] = measurement.accuracy_high();
  point["correct"] = measurement.correct();
  point["samples"] = measurement.samples();
  point["report_accuracy"] = measurement.report_accuracy();
  point["report_correct"] = measurement.report_correct();
  point["report_samples"] = measurement.report_samples();
  point["kl_divergence"] = measurement.kl_divergence();
  if (measurement.confirmation_samples() > 0) {
    const int64_t correct = measurement.confirmation_correct();
    const int64_t samples = measurement.confirmation_samples();
    const Interval interval = WilsonInterval(correct, samples);
    point["confirmation_accuracy"] =
        static_cast<double>(correct) / static_cast<double>(samples);
    point["confirmation_accuracy_low"] = interval.low;
    point["confirmation_accuracy_high"] = interval.high;
    point["confirmation_correct"] = correct;
    point["confirmation_samples"] = samples;
  }
}

void AddLatency(const v1::Measurement& measurement, nlohmann::json& point) {
  point["latency_us"] = measurement.latency_us();
  point["latency_us_p05"] = measurement.latency_us_p05();
  point["latency_us_p95"] = measurement.latency_us_p95();
  point["latency_ratio"] = measurement.latency_ratio();
  point["latency_ratio_low"] = measurement.latency_ratio_low();
  point["latency_ratio_high"] = measurement.latency_ratio_high();
  point["baseline_latency_us"] = measurement.baseline_latency_us();
  point["latency_repeats"] = measurement.latency_repeats();
  point["is_noisy"] = measurement.is_noisy();
}

void AddSize(const v1::Measurement& measurement, nlohmann::json& point) {
  point["size_bytes"] = measurement.size_bytes();
  point["packed_bytes"] = measurement.packed_bytes();
  point["entropy_bytes"] = measurement.entropy_bytes();
  point["macs"] = measurement.macs();
  point["peak_activation_bytes"] = measurement.peak_activation_bytes();
}

void AddReward(const v1::Trial& trial, nlohmann::json& object) {
  if (!trial.has_reward()) {
    object["reward"] = nullptr;
    object["components"] = nlohmann::json::object();
    return;
  }
  const v1::Reward& reward = trial.reward();
  nlohmann::json components = nlohmann::json::object();
  for (const auto& [name, value] : reward.components()) {
    components[name] = value;
  }
  object["reward"] = reward.value();
  object["components"] = std::move(components);
  object["moving_baseline"] = reward.moving_baseline();
  object["is_within_budget"] = reward.is_within_budget();
}

}  // namespace

nlohmann::json ProfileToJson(const v1::HardwareProfile& profile) {
  return {{"cpu", profile.cpu()},
          {"isa", profile.isa()},
          {"threads", profile.threads()},
          {"onednn", profile.onednn()}};
}

nlohmann::json PointToJson(const v1::Trial& trial,
                           const v1::SearchSpace* space) {
  nlohmann::json point = {{"trial", trial.number()}};
  if (!trial.has_measurement()) {
    point["plan"] = ProposedPlanToJson(trial.proposal().plan(), space);
    return point;
  }
  const v1::Measurement& measurement = trial.measurement();
  AddAccuracy(measurement, point);
  AddLatency(measurement, point);
  AddSize(measurement, point);
  point["profile"] = ProfileToJson(measurement.profile());
  point["plan"] = measurement.layers_size() > 0
                      ? MeasuredPlanToJson(measurement)
                      : ProposedPlanToJson(trial.proposal().plan(), space);
  return point;
}

nlohmann::json TrialToJson(const v1::Trial& trial,
                           const v1::SearchSpace* space) {
  nlohmann::json object = PointToJson(trial, space);
  object["state"] = std::string(TrialStateName(trial.state()));
  object["source"] = trial.proposal().source();
  object["attempts"] = trial.attempts();
  object["learn_sequence"] = trial.learn_sequence();
  AddReward(trial, object);
  const auto add_if_set = [&object](const char* key, const std::string& value) {
    if (!value.empty()) object[key] = value;
  };
  if (trial.measurement().has_early_stop()) {
    const v1::EarlyStop& stop = trial.measurement().early_stop();
    object["early_stop"] = {{"samples", stop.samples()}};
    if (stop.beaten_by() > 0) {
      object["early_stop"].update(
          {{"beaten_by", stop.beaten_by()},
           {"confidence", stop.confidence()},
           {"loss_difference", stop.loss_difference()}});
    }
  }
  add_if_set("reason", trial.state_reason());
  add_if_set("explanation", trial.proposal().explanation());
  add_if_set("reused_from", trial.reused_from());
  add_if_set("artifact", trial.artifact_digest());
  if (trial.proposal().thinking_seconds() > 0) {
    object["thinking_seconds"] = trial.proposal().thinking_seconds();
  }
  if (trial.proposal().has_predicted_latency_us()) {
    object["predicted_latency_us"] = trial.proposal().predicted_latency_us();
  }
  return object;
}

nlohmann::json FrontierToJson(const v1::Frontier& frontier) {
  nlohmann::json points = nlohmann::json::array();
  for (const v1::Trial& trial : frontier.trials()) {
    points.push_back(PointToJson(trial));
  }
  return {{"baseline", PointToJson(frontier.baseline())},
          {"frontier", std::move(points)},
          {"hypervolume", frontier.hypervolume()}};
}

}  // namespace lathe

#include "client/point_json.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>
#include <string>

namespace lathe {
namespace {

v1::Trial MeasuredTrial() {
  v1::Trial trial;
  trial.set_number(7);
  trial.set_state(v1::TRIAL_MEASURED);
  trial.mutable_proposal()->set_source("rl/policy");
  v1::Measurement& m = *trial.mutable_measurement();
  m.set_metric("top1");
  m.set_accuracy(0.875);
  m.set_accuracy_low(0.85);
  m.set_accuracy_high(0.9);
  m.set_samples(2400);
  m.set_report_accuracy(0.86);
  m.set_report_samples(1800);
  m.set_latency_us(120.5);
  m.set_latency_us_p95(130.25);
  m.set_latency_ratio(0.5);
  m.set_latency_ratio_low(0.48);
  m.set_latency_ratio_high(0.52);
  m.set_size_bytes(1000);
  m.set_packed_bytes(500);
  m.set_entropy_bytes(400);
  m.set_macs(12345678901);
  m.mutable_profile()->set_cpu("cpu");
  m.mutable_profile()->set_isa("avx2");
  m.mutable_profile()->set_threads(2);
  m.mutable_profile()->set_onednn("2.6.3");
  v1::MeasuredLayer& layer = *m.add_layers();
  layer.set_name("conv1");
  layer.mutable_choice()->set_precision(v1::INT8);
  layer.mutable_choice()->set_weight_bits(4);
  layer.mutable_choice()->set_keep_ratio(0.75);
  layer.set_channels(12);
  return trial;
}

TEST(PointJson, HasEveryFieldOfTheContractWithItsNumber) {
  const nlohmann::json point = PointToJson(MeasuredTrial());
  const nlohmann::json expected = *ParseJson(R"({
    "trial": 7, "accuracy": 0.875, "accuracy_low": 0.85, "accuracy_high": 0.9,
    "samples": 2400, "report_accuracy": 0.86, "report_samples": 1800,
    "latency_us": 120.5, "latency_us_p95": 130.25, "latency_ratio": 0.5,
    "latency_ratio_low": 0.48, "latency_ratio_high": 0.52,
    "size_bytes": 1000, "packed_bytes": 500, "entropy_bytes": 400,
    "macs": 12345678901,
    "profile": {"cpu": "cpu", "isa": "avx2", "threads": 2, "onednn": "2.6.3"},
    "plan": {"layers": [{"name": "conv1", "precision": "int8",
                         "weight_bits": 4, "keep_ratio": 0.75,
                         "channels": 12}]}})");
  for (const auto& [key, value] : expected.items()) {
    ASSERT_TRUE(point.contains(key)) << key;
    EXPECT_EQ(point[key], value) << key;
  }
}

TEST(PointJson, ATrialWithoutMeasurementHasItsProposedPlanOnly) {
  v1::Trial trial;
  trial.set_number(3);
  v1::LayerChoice& choice =
      *trial.mutable_proposal()->mutable_plan()->add_layers();
  choice.set_precision(v1::F32);
  choice.set_weight_bits(32);
  choice.set_keep_ratio(0.5);
  v1::SearchSpace space;
  space.add_layers()->set_name("fc");
  space.mutable_layers(0)->set_out_channels(10);

  EXPECT_EQ(DumpJson(PointToJson(trial, &space)),
            R"({"plan":{"layers":[{"channels":5,"keep_ratio":0.5,"name":"fc",)"
            R"("precision":"f32","weight_bits":32}]},"trial":3})");
}

TEST(TrialJson, AddsStateSourceRewardAndItsComponents) {
  v1::Trial trial = MeasuredTrial();
  trial.mutable_reward()->set_value(0.25);
  (*trial.mutable_reward()->mutable_components())["quality"] = 0.5;
  (*trial.mutable_reward()->mutable_components())["latency_penalty"] = -0.25;

  const nlohmann::json object = TrialToJson(trial);

  EXPECT_EQ(object["state"], "MEASURED");
  EXPECT_EQ(object["source"], "rl/policy");
  EXPECT_EQ(object["reward"], 0.25);
  EXPECT_EQ(object["components"]["quality"], 0.5);
  EXPECT_EQ(object["components"]["latency_penalty"], -0.25);
  EXPECT_EQ(object["accuracy"], 0.875);
}

TEST(TrialJson, ATrialThatWasNotJudgedHasNoReward) {
  EXPECT_TRUE(TrialToJson(MeasuredTrial())["reward"].is_null());
}

TEST(FrontierJson, ListsBaselineAndPointsInOrder) {
  v1::Frontier frontier;
  *frontier.mutable_baseline() = MeasuredTrial();
  frontier.mutable_baseline()->set_number(0);
  *frontier.add_trials() = MeasuredTrial();
  frontier.set_hypervolume(0.625);

  const nlohmann::json object = FrontierToJson(frontier);

  EXPECT_EQ(object["baseline"]["trial"], 0);
  ASSERT_EQ(object["frontier"].size(), 1u);
  EXPECT_EQ(object["frontier"][0]["trial"], 7);
  EXPECT_EQ(object["hypervolume"], 0.625);
}

TEST(JsonText, BadBytesAndNumbersNeitherThrowNorBreakTheText) {
  EXPECT_EQ(DumpJson({{"name", "a\xff"}}), "{\"name\":\"a\xef\xbf\xbd\"}");
  EXPECT_EQ(DumpJson(std::numeric_limits<double>::quiet_NaN()), "null");
}

TEST(JsonText, RejectsWhatIsNotOneValue) {
  for (const char* text : {"", "{", "{} {}", "nul", "[1,]", "'a'"}) {
    EXPECT_EQ(ParseJson(text).status().code(),
              absl::StatusCode::kInvalidArgument)
        << text;
  }
}

}  // namespace
}  // namespace lathe

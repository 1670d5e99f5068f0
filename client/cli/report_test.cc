#include "client/cli/report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <string>

#include "client/cli/html.h"
#include "client/cli/report_data.h"
#include "client/cli/report_figures.h"
#include "client/json_text.h"
#include "proto/hypervolume.h"

namespace lathe {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

constexpr char kHostile[] =
    "</script><script>alert(1)</script><img src=x onerror='x'>\"&\x01\xff";

v1::Trial MakeTrial(int64_t number, double accuracy, double report_accuracy,
                    double latency_ratio) {
  v1::Trial trial;
  trial.set_number(number);
  trial.set_state(v1::TRIAL_MEASURED);
  trial.set_learn_sequence(number + 1);
  trial.mutable_proposal()->set_source(number == 0 ? "baseline" : "rl/policy");
  v1::Measurement& m = *trial.mutable_measurement();
  m.set_accuracy(accuracy);
  m.set_samples(100);
  m.set_report_accuracy(report_accuracy);
  m.set_report_samples(100);
  m.set_latency_ratio(latency_ratio);
  m.set_latency_us(100 * latency_ratio);
  m.set_size_bytes(1000);
  trial.mutable_reward()->set_value(accuracy);
  return trial;
}

ReportInput MakeInput() {
  ReportInput input;
  input.job.set_name("jobs/1");
  input.job.mutable_spec()->set_display_name("network");
  input.trials = {MakeTrial(0, 0.9, 0.9, 1), MakeTrial(1, 0.9, 0.87, 0.5),
                  MakeTrial(2, 0.8, 0.78, 0.25), MakeTrial(3, 0.7, 0.7, 0.6)};
  *input.frontier.mutable_baseline() = input.trials[0];
  *input.frontier.add_trials() = input.trials[2];
  *input.frontier.add_trials() = input.trials[1];
  input.choice.trial = input.trials[1];
  return input;
}

// The page with everything that others can choose set to hostile text.
std::string HostilePage() {
  ReportInput input = MakeInput();
  input.job.mutable_spec()->set_display_name(kHostile);
  input.job.mutable_spec()->set_agent(kHostile);
  input.job.set_state_reason(kHostile);
  for (v1::Trial* trial :
       {&input.trials[1], &input.choice.trial, input.frontier.mutable_trials(0),
        input.frontier.mutable_baseline()}) {
    trial->mutable_proposal()->set_source(kHostile);
    trial->mutable_proposal()->set_explanation(kHostile);
    (*trial->mutable_reward()->mutable_components())[kHostile] = 1;
    trial->mutable_measurement()->mutable_profile()->set_cpu(kHostile);
    trial->mutable_measurement()->set_metric(kHostile);
    trial->mutable_measurement()->add_layers()->set_name(kHostile);
  }
  input.trials[3].set_state(v1::TRIAL_FAILED);
  input.trials[3].set_state_reason(kHostile);
  return RenderReport(input, "");
}

TEST(Report, EscapesEverythingThatOthersCanName) {
  const std::string page = HostilePage();
  EXPECT_THAT(page, HasSubstr("&lt;/script&gt;&lt;script&gt;alert(1)"));
  EXPECT_THAT(page, Not(HasSubstr("<script>alert")));
  EXPECT_THAT(page, Not(HasSubstr("<img")));
  EXPECT_THAT(page, Not(HasSubstr("\xff")));
}

TEST(Report, TellsTheReasonForEachLayer) {
  ReportInput input = MakeInput();
  v1::BaselineReport& baseline = *input.job.mutable_baseline();
  v1::Layer* layer = baseline.mutable_space()->add_layers();
  layer->set_name(kHostile);
  for (const v1::Precision precision : {v1::F32, v1::INT8}) {
    v1::PrecisionOption* option = layer->add_precisions();
    option->set_precision(precision);
    option->set_weight_bits(precision == v1::F32 ? 32 : 8);
    auto* entry = baseline.mutable_latency_table()->add_entries();
    entry->set_precision(precision);
    entry->set_latency_us(precision == v1::F32 ? 1 : 2);
    entry->set_reorder_us(precision == v1::F32 ? 0 : 1);
  }
  const std::string page = RenderReport(input, "");
  EXPECT_THAT(page, HasSubstr("int8 is not faster here: 2.0 us against 1.0; "
                              "50 % of it is reorder"));
  EXPECT_THAT(page, HasSubstr("--sensitivity-samples"));
  EXPECT_THAT(page, Not(HasSubstr("<script>alert")));
  baseline.mutable_sensitivity()->set_samples(128);
  baseline.mutable_sensitivity()->add_entries();
  baseline.mutable_sensitivity()->set_choices_not_reached(2);
  EXPECT_THAT(RenderReport(input, ""),
              HasSubstr("those of 128 search samples when the layer alone is "
                        "changed. The time for them was over before 2 of 3 "
                        "choices"));
  // A plan of other layers has no reasons here.
  input.choice.trial.mutable_proposal()->mutable_plan()->add_layers();
  input.choice.trial.mutable_proposal()->mutable_plan()->add_layers();
  EXPECT_THAT(RenderReport(input, ""), Not(HasSubstr("not faster")));
}

TEST(Report, HasNothingButItsOwnScripts) {
  // Data, library, drawing code: three starts and three ends.
  const std::string page = HostilePage();
  int starts = 0, ends = 0;
  for (size_t at = 0; (at = page.find("<script", at)) != std::string::npos;
       ++at)
    ++starts;
  for (size_t at = 0; (at = page.find("</script", at)) != std::string::npos;
       ++at)
    ++ends;
  EXPECT_EQ(starts, 3);
  EXPECT_EQ(ends, 3);
}

TEST(Report, LoadsNothing) {
  const std::string page = RenderReport(MakeInput(), ChartLibrary());
  for (const char* sign : {"http:", "https:", "src=\"", "href=", "@import",
                           "url(", "fetch(", "XMLHttpRequest", "<link"}) {
    EXPECT_THAT(page, Not(HasSubstr(sign)));
  }
}

TEST(Report, CarriesTheChartLibrary) {
  EXPECT_THAT(std::string(ChartLibrary()), HasSubstr("Chart"));
  EXPECT_GT(ChartLibrary().size(), 100'000u);
}

TEST(Report, NamesTheFrontierTheChoiceAndTheOptimism) {
  const std::string page = RenderReport(MakeInput(), "");
  EXPECT_THAT(page, HasSubstr("0.250x"));
  EXPECT_THAT(page, HasSubstr("The chosen configuration: trial 1"));
  // Members lose 3 and 2 points, the baseline none.
  EXPECT_THAT(page, HasSubstr("Optimism: +2.50 points"));
}

TEST(Optimism, SubtractsTheBaselinesOwnDifference) {
  v1::Frontier frontier;
  *frontier.mutable_baseline() = MakeTrial(0, 0.9, 0.88, 1);
  *frontier.add_trials() = MakeTrial(1, 0.9, 0.85, 0.5);
  EXPECT_NEAR(Optimism(frontier), 0.03, 1e-12);
  EXPECT_EQ(Optimism(v1::Frontier()), 0);
}

// The area under the points by sampling the box on a grid.
double GridHypervolume(const std::vector<std::pair<double, double>>& points) {
  constexpr int kCells = 1000;
  int dominated = 0;
  for (int i = 0; i < kCells; ++i) {
    double height = 0.8;
    const double latency = (i + 0.5) / kCells;
    for (const auto& [x, y] : points) {
      if (x <= latency && y > height) height = y;
    }
    dominated += static_cast<int>(std::lround((height - 0.8) / 0.2 * kCells));
  }
  return static_cast<double>(dominated) / kCells / kCells;
}

TEST(HypervolumeCurve, EqualsTheAreaCountedOnAGrid) {
  const std::vector<std::pair<double, double>> points = {
      {0.9, 0.99}, {0.5, 0.95}, {0.5, 0.9},  {0.25, 0.85}, {1.2, 1.0},
      {0.1, 0.7},  {0.6, 0.96}, {0.4, 0.96}, {0.25, 0.97}};
  HypervolumeCurve curve;
  std::vector<std::pair<double, double>> added;
  for (const auto& point : points) {
    added.push_back(point);
    curve.Add(point.first, point.second);
    // Each edge of a step moves at most one row or column of cells.
    EXPECT_NEAR(curve.value(), GridHypervolume(added),
                static_cast<double>(added.size()) / 1000);
  }
}

TEST(HypervolumeOverTrials, FollowsTheOrderOfLearning) {
  std::vector<v1::Trial> trials = {
      MakeTrial(0, 1, 1, 1), MakeTrial(1, 1, 1, 0.5), MakeTrial(2, 1, 1, 0.25)};
  trials[1].set_learn_sequence(3);
  trials[2].set_learn_sequence(2);
  const std::vector<CurvePoint> curve =
      HypervolumeOverTrials(trials, trials[0].measurement());
  ASSERT_EQ(curve.size(), 3u);
  EXPECT_EQ(curve[1].trial, 2);
  EXPECT_NEAR(curve[1].hypervolume, 0.75, 1e-12);
  EXPECT_NEAR(curve[2].hypervolume, 0.75, 1e-12);
  // The slower one came later, and added nothing.
  const auto gains = GainByTrial(trials, trials[0].measurement());
  EXPECT_NEAR(gains.at(2), 0.75, 1e-12);
  EXPECT_NEAR(gains.at(1), 0, 1e-12);
}

TEST(ProposerShares, CountTrialsAndFrontierMembers) {
  const ReportInput input = MakeInput();
  const auto shares = ProposerShares(input.trials, input.frontier);
  EXPECT_EQ(shares.at("rl/policy").trials, 3);
  EXPECT_EQ(shares.at("rl/policy").on_frontier, 2);
  EXPECT_NEAR(shares.at("rl/policy").mean_reward, 0.8, 1e-12);
  EXPECT_EQ(shares.at("baseline").trials, 1);
  double gain = 0;
  double ratio = 0;
  for (const auto& [source, share] : shares) {
    gain += share.gain;
    ratio += share.gain_ratio;
  }
  EXPECT_NEAR(ratio, 1, 1e-12);
  EXPECT_NEAR(gain,
              HypervolumeOverTrials(input.trials,
                                    input.frontier.baseline().measurement())
                  .back()
                  .hypervolume,
              1e-12);
}

TEST(ThinkingRatio, IsOfWhatTheProposalsEvaluationsTook) {
  std::vector<v1::Trial> trials(3);
  for (size_t i = 0; i < trials.size(); ++i) {
    trials[i].set_number(static_cast<int64_t>(i));
    trials[i].mutable_measurement()->set_evaluation_seconds(10);
    trials[i].mutable_proposal()->set_thinking_seconds(i);
  }
  EXPECT_NEAR(ThinkingRatio(trials), 3.0 / 20, 1e-12);
  // A reused measurement took nobody's time, and is left out.
  trials[2].set_reused_from("jobs/1/trials/2");
  EXPECT_NEAR(ThinkingRatio(trials), 1.0 / 10, 1e-12);
}

TEST(Choice, FastestWithinADropIsTheBaselineWhenNothingElseQualifies) {
  const ReportInput input = MakeInput();
  EXPECT_EQ(FastestWithinDrop(input.frontier, 0.01).number(), 1);
  EXPECT_EQ(FastestWithinDrop(input.frontier, 0.2).number(), 2);
  v1::Frontier frontier = input.frontier;
  frontier.clear_trials();
  EXPECT_EQ(FastestWithinDrop(frontier, 0.01).number(), 0);
}

TEST(Html, JsonForScriptStaysTheSameJson) {
  const nlohmann::json value = {{"a", "</script><!-- & \xe2\x80\xa8"}};
  const std::string text = JsonForScript(value);
  EXPECT_THAT(text, Not(HasSubstr("<")));
  EXPECT_EQ(*ParseJson(text), value);
}

}  // namespace
}  // namespace lathe

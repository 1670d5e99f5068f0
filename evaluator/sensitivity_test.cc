#include "evaluator/sensitivity.h"

#include <algorithm>
#include <memory>
#include <set>
#include <string>

#include "compressor/canonical.h"
#include "compressor/plan_sketch.h"
#include "compressor/search_space.h"
#include "evaluator/accuracy.h"
#include "evaluator/calibration_source.h"
#include "evaluator/testing/small_job.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "proto/plan.h"

namespace lathe {
namespace {

class SensitivityOf : public ::testing::TestWithParam<SmallOutput> {
 protected:
  SensitivityOf()
      : graph_(*Canonicalize(SmallNetwork(kDynamic, GetParam()))),
        space_(*MakeSearchSpace(graph_, {})),
        data_(*OpenJobData(graph_, {{"data", SmallDataset(200)}},
                           SmallSpec().dataset())),
        source_(&data_->calibration.inputs, data_->calibration.samples, 17),
        stats_(
            *CollectActivationStats(graph_, source_, source_.SampleCount())) {
    options_.samples = 64;
  }

  // The plan in which only the entry's choice differs from the baseline's.
  v1::CompressionPlan PlanOf(const v1::Sensitivity::Entry& entry) const {
    v1::CompressionPlan plan = BaselinePlan(space_);
    *plan.mutable_layers(entry.layer()) = entry.choice();
    for (int i = 0; i < space_.layers_size(); ++i) {
      if (space_.layers(i).group() == space_.layers(entry.layer()).group()) {
        plan.mutable_layers(i)->set_keep_ratio(entry.choice().keep_ratio());
      }
    }
    return plan;
  }

  const Graph graph_;
  const v1::SearchSpace space_;
  const std::unique_ptr<JobData> data_;
  CalibrationSource source_;
  const ActivationStats stats_;
  SensitivityOptions options_;
};

TEST_P(SensitivityOf, EachChoiceIsWhatTheWholeNetworkMeasures) {
  const auto sensitivity =
      MeasureSensitivity(graph_, space_, *data_, stats_, source_, options_);
  ASSERT_TRUE(sensitivity.ok()) << sensitivity.status();
  EXPECT_EQ(sensitivity->samples(), 64);
  std::vector<int64_t> samples;
  std::vector<int64_t> labels;
  const DataPart& search = data_->search;
  const int64_t all = static_cast<int64_t>(search.samples.size());
  for (int64_t i = 0; i < 64; ++i) {
    samples.push_back(search.samples[i * all / 64]);
    labels.push_back(search.labels[i * all / 64]);
  }
  const Answers reference = *Answer(graph_, search.inputs, samples);
  EXPECT_EQ(sensitivity->baseline_correct(),
            Score(reference, reference, labels).correct);
  for (const v1::Sensitivity::Entry& entry : sensitivity->entries()) {
    const Graph whole =
        *Compress(graph_, space_, PlanOf(entry), stats_, source_);
    const Accuracy expected =
        Score(*Answer(whole, search.inputs, samples), reference, labels);
    const std::string what = entry.choice().ShortDebugString();
    EXPECT_NEAR(static_cast<double>(entry.correct()),
                static_cast<double>(expected.correct), 1)
        << what;
    EXPECT_NEAR(entry.kl_divergence(), expected.kl_divergence,
                1e-6 + 1e-3 * expected.kl_divergence)
        << what;
  }
}

TEST_P(SensitivityOf, SketchesOfSingleChoicesTellAboutTheSame) {
  const auto compressed =
      MeasureSensitivity(graph_, space_, *data_, stats_, source_, options_);
  const auto sketcher = PlanSketcher::Create(
      graph_, space_, stats_, source_, CompressOptions(), int64_t{1} << 30);
  ASSERT_TRUE(compressed.ok() && sketcher.ok()) << sketcher.status();
  options_.carry_out = [&](const v1::CompressionPlan& plan) {
    return (*sketcher)->Sketch(plan);
  };
  const auto sketched =
      MeasureSensitivity(graph_, space_, *data_, stats_, source_, options_);
  ASSERT_TRUE(sketched.ok()) << sketched.status();
  ASSERT_EQ(sketched->entries_size(), compressed->entries_size());
  double furthest = 1;
  for (int i = 0; i < sketched->entries_size(); ++i) {
    EXPECT_EQ(sketched->entries(i).choice().SerializeAsString(),
              compressed->entries(i).choice().SerializeAsString());
    // What rounding alone makes of float32.
    const double ratio = (sketched->entries(i).kl_divergence() + 1e-6) /
                         (compressed->entries(i).kl_divergence() + 1e-6);
    furthest = std::max({furthest, ratio, 1 / ratio});
  }
  EXPECT_LT(furthest, 2);
}

TEST_P(SensitivityOf, HasAnEntryForEveryOtherChoice) {
  const auto sensitivity =
      MeasureSensitivity(graph_, space_, *data_, stats_, source_, options_);
  ASSERT_TRUE(sensitivity.ok()) << sensitivity.status();
  int expected = 0;
  std::set<int> groups;
  for (const v1::Layer& layer : space_.layers()) {
    expected += layer.precisions_size() - 1;
    if (groups.insert(layer.group()).second) {
      expected += layer.keep_ratios_size() - 1;
    }
  }
  EXPECT_EQ(sensitivity->entries_size(), expected);
}

TEST_P(SensitivityOf, FewSamplesAreABatchOfTheirOwn) {
  options_.samples = 5;
  const auto sensitivity =
      MeasureSensitivity(graph_, space_, *data_, stats_, source_, options_);
  ASSERT_TRUE(sensitivity.ok()) << sensitivity.status();
  EXPECT_EQ(sensitivity->samples(), 5);
  EXPECT_GT(sensitivity->entries_size(), 0);
}

TEST_P(SensitivityOf, WhatChangesEveryLayerIsLeftOut) {
  options_.samples = 32;
  const auto before =
      MeasureSensitivity(graph_, space_, *data_, stats_, source_, options_);
  options_.compress.weights.sparsity = {0.9};
  options_.compress.low_rank = 0.3;
  const auto after =
      MeasureSensitivity(graph_, space_, *data_, stats_, source_, options_);
  ASSERT_TRUE(before.ok() && after.ok());
  EXPECT_EQ(before->SerializeAsString(), after->SerializeAsString());
}

TEST_P(SensitivityOf, ATableWhoseTimeIsOverHasAllLayersFirst) {
  options_.samples = 8;
  const auto whole =
      MeasureSensitivity(graph_, space_, *data_, stats_, source_, options_);
  std::set<int> groups;
  for (const v1::Layer& layer : space_.layers()) {
    if (layer.keep_ratios_size() > 1) groups.insert(layer.group());
  }
  const int first_turn = space_.layers_size() + static_cast<int>(groups.size());
  int asked = 0;
  options_.is_time_over = [&] { return asked++ == first_turn; };
  const auto cut =
      MeasureSensitivity(graph_, space_, *data_, stats_, source_, options_);
  ASSERT_TRUE(whole.ok() && cut.ok());
  EXPECT_EQ(whole->choices_not_reached(), 0);
  EXPECT_EQ(cut->entries_size(), first_turn);
  EXPECT_EQ(cut->choices_not_reached(), whole->entries_size() - first_turn);
  std::set<int> layers;
  for (const v1::Sensitivity::Entry& entry : cut->entries()) {
    if (entry.choice().keep_ratio() == 1) layers.insert(entry.layer());
    // What was reached is what the whole table says.
    EXPECT_TRUE(std::any_of(whole->entries().begin(), whole->entries().end(),
                            [&entry](const v1::Sensitivity::Entry& other) {
                              return other.SerializeAsString() ==
                                     entry.SerializeAsString();
                            }));
  }
  EXPECT_EQ(layers.size(), static_cast<size_t>(space_.layers_size()));
}

INSTANTIATE_TEST_SUITE_P(Outputs, SensitivityOf,
                         ::testing::Values(SmallOutput::kLogits,
                                           SmallOutput::kSoftmax));

// Grids of calls are those of single samples, however many run at once.
TEST(SensitivityOfDynamicGrids, IsThatOfSamplesByThemselves) {
  const Graph graph = *Canonicalize(SmallNetwork());
  SpaceOptions space_options;
  space_options.dynamic = DynamicLayers::kLinear;
  space_options.weight_bits = {8, 3};
  const v1::SearchSpace space = *MakeSearchSpace(graph, space_options);
  const auto data =
      *OpenJobData(graph, {{"data", SmallDataset(200)}}, SmallSpec().dataset());
  CalibrationSource source(&data->calibration.inputs, data->calibration.samples,
                           17);
  const ActivationStats stats =
      *CollectActivationStats(graph, source, source.SampleCount());
  SensitivityOptions options;
  options.samples = static_cast<int64_t>(data->search.samples.size());
  const auto sensitivity =
      MeasureSensitivity(graph, space, *data, stats, source, options);
  ASSERT_TRUE(sensitivity.ok()) << sensitivity.status();
  std::vector<int64_t> samples = data->search.samples;
  samples.resize(sensitivity->samples());
  const Answers reference = *Answer(graph, data->search.inputs, samples);
  int dynamic = 0;
  for (const v1::Sensitivity::Entry& entry : sensitivity->entries()) {
    if (entry.choice().precision() != v1::INT8_DYNAMIC) continue;
    ++dynamic;
    v1::CompressionPlan plan = BaselinePlan(space);
    *plan.mutable_layers(entry.layer()) = entry.choice();
    const Answers answers =
        *Answer(*Compress(graph, space, plan, stats, source),
                data->search.inputs, samples);
    EXPECT_EQ(entry.kl_divergence(),
              Score(answers, reference, {}).kl_divergence);
  }
  EXPECT_EQ(dynamic, 2);
}

}  // namespace
}  // namespace lathe

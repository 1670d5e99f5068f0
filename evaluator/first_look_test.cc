#include "evaluator/first_look.h"

#include <gtest/gtest.h>

#include <cmath>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "compressor/activation_stats.h"
#include "compressor/calibration_walk.h"
#include "compressor/canonical.h"
#include "compressor/compress.h"
#include "compressor/cost.h"
#include "compressor/onnx.h"
#include "compressor/plan_sketch.h"
#include "compressor/search_space.h"
#include "evaluator/accuracy.h"
#include "evaluator/calibration_source.h"
#include "evaluator/job_data.h"
#include "evaluator/testing/small_job.h"
#include "proto/plan.h"

namespace lathe {
namespace {

constexpr int64_t kMuch = int64_t{1} << 30;

// Whose answers differ from sample to sample: [batch, 3, 8, 8] to [batch, 5].
Graph DecidedNetwork() {
  NetBuilder net(/*seed=*/5);
  const ValueId input = net.Input({kDynamic, 3, 8, 8});
  const ValueId first = net.Conv(input, 3, 16, 3);
  net.Relu();
  const ValueId inner = net.Conv(first, 16, 32, 3);
  net.Relu();
  const ValueId second = net.Conv(inner, 32, 16, 3);
  net.AddInto(first);
  net.Relu();
  const ValueId flat = net.Op("Flatten", {second}, {{"axis", int64_t{1}}});
  return net.Build({net.Gemm(flat, 16 * 64, 5, /*is_transposed=*/true)});
}

// SmallSpec's data ten times as large, and so are the logits: errors cost more.
v1::DatasetSpec LoudData() {
  v1::DatasetSpec data = SmallSpec().dataset();
  data.set_scale(10 * data.scale());
  data.set_mean(0, 10);
  return data;
}

class Looking : public ::testing::Test {
 protected:
  Looking()
      : graph_(*Canonicalize(DecidedNetwork())),
        space_(*MakeSearchSpace(graph_, {})),
        data_(*OpenJobData(graph_, {{"data", SmallDataset(600)}}, LoudData())),
        source_(&data_->calibration.inputs, data_->calibration.samples, 17),
        stats_(*CollectActivationStats(graph_, source_, source_.SampleCount())),
        answers_(*Answer(graph_, data_->search.inputs, data_->search.samples)) {
  }

  std::unique_ptr<PlanSketcher> Sketcher(int64_t most_bytes = kMuch) {
    auto made = PlanSketcher::Create(graph_, space_, stats_, source_,
                                     CompressOptions(), most_bytes);
    EXPECT_TRUE(made.ok()) << made.status();
    return *std::move(made);
  }

  std::unique_ptr<FirstLook> Look() {
    auto made = FirstLook::Create(graph_, space_, *data_, stats_, source_,
                                  CompressOptions(), answers_);
    EXPECT_TRUE(made.ok()) << made.status();
    return *std::move(made);
  }

  // Every layer in INT8 with `bits`, keep ratios the `keep`-th of each.
  v1::CompressionPlan Plan(int bits, int keep) const {
    v1::CompressionPlan plan = BaselinePlan(space_);
    for (int i = 0; i < plan.layers_size(); ++i) {
      plan.mutable_layers(i)->set_precision(v1::INT8);
      plan.mutable_layers(i)->set_weight_bits(bits);
      const auto& ratios = space_.layers(i).keep_ratios();
      plan.mutable_layers(i)->set_keep_ratio(
          ratios[std::min<int>(keep, ratios.size() - 1)]);
    }
    return plan;
  }

  double DivergenceOf(const Graph& graph) const {
    const Answers answers =
        *Answer(graph, data_->search.inputs, data_->search.samples);
    return Score(answers, answers_, data_->search.labels).kl_divergence;
  }

  // `plan` as a rival with a measured divergence.
  static v1::Rivals Against(const v1::CompressionPlan& plan,
                            double kl_divergence, double latency_ratio) {
    v1::Rivals rivals;
    v1::Rival* rival = rivals.add_rivals();
    rival->set_number(7);
    *rival->mutable_plan() = plan;
    rival->set_latency_ratio(latency_ratio);
    rival->set_kl_divergence(kl_divergence);
    rivals.set_predicted_latency_us(500);
    rivals.set_predicted_latency_ratio(0.5);
    rivals.set_counts_latency(true);
    return rivals;
  }

  const Graph graph_;
  const v1::SearchSpace space_;
  const std::unique_ptr<JobData> data_;
  CalibrationSource source_;
  const ActivationStats stats_;
  const Answers answers_;
};

TEST_F(Looking, ASketchIsTheSameBytesWhateverWasSketchedBefore) {
  const std::unique_ptr<PlanSketcher> warm = Sketcher();
  // Forgets every layer at once.
  const std::unique_ptr<PlanSketcher> forgetful = Sketcher(/*most_bytes=*/1);
  for (int round = 0; round < 2; ++round) {
    for (const auto& [bits, keep] :
         std::vector<std::pair<int, int>>{{8, 1}, {3, 0}, {8, 0}, {3, 1}}) {
      const v1::CompressionPlan plan = Plan(bits, keep);
      const std::string sketch = *SerializeOnnx(*warm->Sketch(plan));
      EXPECT_EQ(*SerializeOnnx(*forgetful->Sketch(plan)), sketch);
      if (round > 0) continue;
      EXPECT_EQ(*SerializeOnnx(*Sketcher()->Sketch(plan)), sketch);
    }
  }
  EXPECT_GE(warm->found_layers(), warm->made_layers());
  EXPECT_EQ(forgetful->found_layers(), 0);
}

TEST_F(Looking, ASketchHasTheShapesOfTheCompressedModelAndAnswersNearlyAsWell) {
  const std::unique_ptr<PlanSketcher> sketcher = Sketcher();
  CompressOptions bare;
  bare.weights = NearestWeights();
  bare.prune.rebuild = RebuildMethod::kNone;
  for (const auto& [bits, keep] :
       std::vector<std::pair<int, int>>{{8, 1}, {3, 0}}) {
    const v1::CompressionPlan plan = Plan(bits, keep);
    const Graph sketch = *sketcher->Sketch(plan);
    const Graph whole = *Compress(graph_, space_, plan, stats_, source_);
    EXPECT_EQ(ComputeCost(sketch)->macs, ComputeCost(whole)->macs);
    EXPECT_EQ(ComputeCost(sketch)->packed_bytes,
              ComputeCost(whole)->packed_bytes);
    const double sketched = DivergenceOf(sketch);
    const double careless =
        DivergenceOf(*Compress(graph_, space_, plan, stats_, source_, bare));
    EXPECT_LT(sketched, careless) << bits << " bits, keep " << keep;
  }
}

// By class, over the calibration samples that a sketch is recentred on.
TEST_F(Looking, WherePruningTookChannelsTheMeansOfASketchAreTheOriginals) {
  const auto means_of = [this](const Graph& graph) {
    std::vector<double> means;
    const auto visit = [&means](const NodeActivations& at) {
      const Tensor& output = at.outputs[0];
      const int64_t channels = output.shape()[1];
      means.assign(channels, 0);
      for (int64_t i = 0; i < output.size(); ++i) {
        means[i % channels] += output.values<float>()[i];
      }
      for (double& mean : means)
        mean *= channels / static_cast<double>(output.size());
      return absl::OkStatus();
    };
    EXPECT_TRUE(WalkNetwork(graph, source_, /*samples=*/32, visit).ok());
    return means;  // Of the last node, [samples, classes].
  };
  v1::CompressionPlan plan = Plan(8, 2);
  for (v1::LayerChoice& layer : *plan.mutable_layers()) {
    layer.set_precision(v1::F32);
    layer.set_weight_bits(32);
  }
  const std::vector<double> original = means_of(graph_);
  const std::vector<double> sketch = means_of(*Sketcher()->Sketch(plan));
  ASSERT_EQ(sketch.size(), original.size());
  for (size_t i = 0; i < original.size(); ++i) {
    EXPECT_NEAR(sketch[i], original[i], 1e-3 * (1 + std::abs(original[i])));
  }
}

TEST_F(Looking, NothingIsChangedByThePlanThatChangesNothing) {
  EXPECT_EQ(DivergenceOf(*Sketcher()->Sketch(BaselinePlan(space_))), 0);
}

TEST_F(Looking, WhatAPlanLeavesAloneStaysInTheOriginalsMemory) {
  v1::CompressionPlan plan = BaselinePlan(space_);
  *plan.mutable_layers(1) = Plan(4, 0).layers(1);
  const Graph sketch = *Sketcher()->Sketch(plan);
  int changed = 0;
  for (size_t i = 0; i < graph_.nodes().size(); ++i) {
    const Node& node = graph_.nodes()[i];
    if (node.inputs.size() < 2 || !graph_.IsConstant(node.inputs[1])) continue;
    const Value& weights = sketch.value(sketch.nodes()[i].inputs[1]);
    changed += &weights.constant->bytes() !=
               &graph_.value(node.inputs[1]).constant->bytes();
  }
  EXPECT_EQ(changed, 1);
}

TEST_F(Looking, LargeSamplesAreFewAndNothingIsRecentredOnThem) {
  NetBuilder net(/*seed=*/5);
  const ValueId input = net.Input({kDynamic, 3, 128, 128});
  const ValueId first = net.Conv(input, 3, 16, 3);
  net.Relu();
  const ValueId last = net.Conv(first, 16, 8, 3);
  const ValueId pooled = net.Op("GlobalAveragePool", {last});
  const Graph graph = *Canonicalize(
      net.Build({net.Op("Flatten", {pooled}, {{"axis", int64_t{1}}})}));
  Dataset dataset;
  Array& x = dataset.inputs["x"];
  x.type = Array::Type::kUint8;
  x.shape = {120, 3, 128, 128};
  TestRandom random(/*seed=*/9);
  for (int64_t i = 0; i < ElementCount(x.shape); ++i) {
    x.bytes.push_back(static_cast<char>(random.Below(250)));
  }
  const v1::SearchSpace space = *MakeSearchSpace(graph, {});
  v1::DatasetSpec spec = SmallSpec().dataset();
  spec.set_calibration_samples(8);
  const auto data = *OpenJobData(graph, {{"data", dataset}}, spec);
  CalibrationSource source(&data->calibration.inputs, data->calibration.samples,
                           17);
  const ActivationStats stats = *CollectActivationStats(graph, source, 8);
  const Answers answers =
      *Answer(graph, data->search.inputs, data->search.samples);
  ASSERT_GT(answers.samples(), kFewestLookSamples);
  const auto look = FirstLook::Create(graph, space, *data, stats, source,
                                      CompressOptions(), answers);
  ASSERT_TRUE(look.ok()) << look.status();
  v1::CompressionPlan plan = BaselinePlan(space);
  ASSERT_GT(space.layers(0).keep_ratios_size(), 1);
  plan.mutable_layers(0)->set_keep_ratio(space.layers(0).keep_ratios(1));
  const auto seen = (*look)->At(plan);
  ASSERT_TRUE(seen.ok()) << seen.status();
  EXPECT_EQ((*seen)->losses.size(), static_cast<size_t>(kFewestLookSamples));
  EXPECT_EQ((*look)->sketcher().recentre_samples(), 0);
}

TEST_F(Looking, ThereIsNoSketchWhereMoreThanSingleLayersChange) {
  CompressOptions options;
  options.low_rank = 0.5;
  const auto made =
      PlanSketcher::Create(graph_, space_, stats_, source_, options, kMuch);
  EXPECT_EQ(made.status().code(), absl::StatusCode::kUnimplemented);
}

TEST_F(Looking, TheSameLookWhateverWasLookedAtBefore) {
  const std::unique_ptr<FirstLook> warm = Look();
  ASSERT_TRUE(warm->At(Plan(2, 1)).ok());
  ASSERT_TRUE(warm->At(Plan(8, 0)).ok());
  const auto again = warm->At(Plan(4, 1));
  ASSERT_TRUE(again.ok()) << again.status();
  const std::vector<float> losses = (*again)->losses;
  const std::unique_ptr<FirstLook> cold = Look();
  EXPECT_EQ((*cold->At(Plan(4, 1)))->losses, losses);
  EXPECT_EQ(losses.size(), 240u);  // All there are.
}

TEST_F(Looking, ACheaperRivalThatSurelyAnswersBetterBeatsAPlan) {
  const std::unique_ptr<FirstLook> look = Look();
  const auto judged = look->Judge(Plan(2, 2), Against(Plan(8, 0), 0.01, 0.3));
  ASSERT_TRUE(judged.ok()) << judged.status();
  EXPECT_EQ(judged->early_stop().beaten_by(), 7);
  EXPECT_GE(judged->early_stop().confidence(), kLookConfidence);
  EXPECT_GT(judged->early_stop().loss_difference(), 0);
  EXPECT_GE(judged->early_stop().samples(), kLeastLookSamples);
  EXPECT_EQ(judged->samples(), judged->early_stop().samples());
  EXPECT_GT(judged->kl_divergence(), 0);
  EXPECT_EQ(judged->report_samples(), 0);
  EXPECT_EQ(judged->latency_ratio(), 0.5);
  EXPECT_EQ(judged->latency_repeats(), 0);
  EXPECT_EQ(judged->layers_size(), space_.layers_size());
}

TEST_F(Looking, APlanIsBeatenOnlyByWhatIsSurelyBetterAtItsCost) {
  const std::unique_ptr<FirstLook> look = Look();
  const v1::CompressionPlan good = Plan(8, 0);
  const v1::CompressionPlan poor = Plan(2, 2);
  const auto is_beaten = [&](const v1::CompressionPlan& plan,
                             const v1::Rivals& rivals) {
    const auto judged = look->Judge(plan, rivals);
    EXPECT_TRUE(judged.ok()) << judged.status();
    EXPECT_TRUE(judged->has_early_stop());
    return judged->early_stop().beaten_by() != 0;
  };
  EXPECT_FALSE(is_beaten(good, Against(poor, 1, 0.3)));
  EXPECT_FALSE(is_beaten(poor, Against(poor, 1, 0.3)));
  // As fast, but for what predictions err.
  EXPECT_FALSE(is_beaten(poor, Against(good, 0.01, 0.49)));
  EXPECT_TRUE(is_beaten(poor, Against(good, 0.01, 0.47)));
  v1::Rivals larger = Against(good, 0.01, 0.3);
  larger.mutable_rivals(0)->set_size_bytes(kMuch);
  EXPECT_TRUE(is_beaten(poor, larger));
  larger.set_counts_size(true);
  EXPECT_FALSE(is_beaten(poor, larger));
}

TEST_F(Looking, NothingIsToBeGainedOnARivalThatLosesNothing) {
  const std::unique_ptr<FirstLook> look = Look();
  const v1::CompressionPlan plan = Plan(8, 0);
  const auto judged = look->Judge(plan, Against(plan, 0.001, 0.3));
  ASSERT_TRUE(judged.ok()) << judged.status();
  EXPECT_EQ(judged->early_stop().beaten_by(), 7);
  EXPECT_EQ(judged->early_stop().confidence(), 1);
  // A quarter of all there are.
  EXPECT_EQ(judged->early_stop().samples(), 240 / 4);
}

TEST_F(Looking, WithoutRivalsTheWholeLookCountsAsItIs) {
  const std::unique_ptr<FirstLook> look = Look();
  v1::Rivals none = Against(Plan(8, 0), 0.01, 0.3);
  none.clear_rivals();
  const auto judged = look->Judge(Plan(4, 1), none);
  ASSERT_TRUE(judged.ok()) << judged.status();
  const lathe::Look seen = **look->At(Plan(4, 1));
  EXPECT_EQ(judged->kl_divergence(), seen.kl_divergence);
  EXPECT_EQ(judged->correct(), seen.correct);
  EXPECT_EQ(judged->samples(), 240);
  EXPECT_EQ(judged->early_stop().beaten_by(), 0);
}

TEST_F(Looking, MeasuredRivalsCorrectWhatTheSketchTells) {
  const std::unique_ptr<FirstLook> look = Look();
  const double mild = (*look->At(Plan(8, 0)))->kl_divergence;
  const double harsh = (*look->At(Plan(3, 2)))->kl_divergence;
  const double between = (*look->At(Plan(4, 1)))->kl_divergence;
  ASSERT_LT(mild, between);
  ASSERT_LT(between, harsh);
  ASSERT_GT(mild, 1e-4);
  // Too slow to beat anything.
  v1::Rivals rivals = Against(Plan(8, 0), 2 * mild, 0.9);
  *rivals.add_rivals() = Against(Plan(3, 2), harsh / 2, 0.9).rivals(0);
  const auto corrected = [&](const v1::CompressionPlan& plan) {
    const auto judged = look->Judge(plan, rivals);
    EXPECT_TRUE(judged.ok()) << judged.status();
    return judged->kl_divergence();
  };
  EXPECT_NEAR(corrected(Plan(8, 0)), 2 * mild, 1e-6 * mild);
  EXPECT_NEAR(corrected(Plan(3, 2)), harsh / 2, 1e-6 * harsh);
  // Linear between the rivals, all in logarithms.
  const double weight = std::log(between / mild) / std::log(harsh / mild);
  EXPECT_NEAR(corrected(Plan(4, 1)), between * std::pow(2, 1 - 2 * weight),
              1e-6 * between);
}

TEST_F(Looking, PartsOfARunAnswerAsTheWhole) {
  const DataPart& search = data_->search;
  const Graph sketch = *Sketcher()->Sketch(Plan(4, 1));
  auto run = AnswerRun::Create(sketch, 240);
  ASSERT_TRUE(run.ok()) << run.status();
  std::vector<float> parts;
  for (const auto& [first, count] :
       std::vector<std::pair<int, int>>{{0, 64}, {64, 64}, {128, 112}}) {
    const Answers answers =
        *run->Next(search.inputs,
                   absl::MakeConstSpan(search.samples).subspan(first, count));
    parts.insert(parts.end(), answers.log_probabilities.begin(),
                 answers.log_probabilities.end());
  }
  EXPECT_EQ(parts,
            Answer(sketch, search.inputs, search.samples)->log_probabilities);
}

}  // namespace
}  // namespace lathe

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>
#include <set>

#include "base/digest.h"
#include "compressor/canonical.h"
#include "compressor/cost.h"
#include "compressor/onnx.h"
#include "evaluator/accuracy.h"
#include "evaluator/evaluator.h"
#include "evaluator/executor.h"
#include "evaluator/job_data.h"
#include "evaluator/latency_table.h"
#include "evaluator/testing/small_job.h"
#include "proto/confirmation.h"
#include "proto/plan.h"

namespace lathe {
namespace {

using ::testing::HasSubstr;

constexpr int64_t kSamples = 200;

EvaluatorOptions QuickOptions() {
  EvaluatorOptions options;
  options.least_repeats = 5;
  options.most_repeats = 10;
  return options;
}

std::string SmallModel() { return *SerializeOnnx(SmallNetwork()); }

std::unique_ptr<Evaluator> MustOpen(absl::string_view stats = "") {
  auto evaluator =
      OpenOneDnnEvaluator(SmallModel(), {{"data", SmallDataset(kSamples)}},
                          SmallSpec(), stats, QuickOptions());
  EXPECT_TRUE(evaluator.ok()) << evaluator.status();
  return *std::move(evaluator);
}

// Every layer alike, keep ratios nearest to `keep`.
v1::CompressionPlan Uniform(const v1::SearchSpace& space,
                            v1::Precision precision, int bits, double keep) {
  v1::CompressionPlan plan = BaselinePlan(space);
  for (int i = 0; i < plan.layers_size(); ++i) {
    v1::LayerChoice* choice = plan.mutable_layers(i);
    choice->set_precision(precision);
    choice->set_weight_bits(bits);
    for (const double ratio : space.layers(i).keep_ratios()) {
      if (ratio >= keep) choice->set_keep_ratio(ratio);
    }
  }
  return plan;
}

// Without what a clock tells.
std::string Timeless(v1::Measurement measurement) {
  measurement.clear_latency_us();
  measurement.clear_latency_us_p05();
  measurement.clear_latency_us_p95();
  measurement.clear_latency_ratio();
  measurement.clear_latency_ratio_low();
  measurement.clear_latency_ratio_high();
  measurement.clear_baseline_latency_us();
  measurement.clear_latency_repeats();
  measurement.clear_is_noisy();
  measurement.clear_evaluation_seconds();
  return measurement.DebugString();
}

TEST(OneDnnEvaluator, TellsTheBaselineWithSpaceTableAndStatistics) {
  const auto baseline = MustOpen()->EvaluateBaseline();
  ASSERT_TRUE(baseline.ok()) << baseline.status();
  const v1::Measurement& measurement = baseline->evaluation.measurement;
  EXPECT_EQ(measurement.metric(), "top1");
  EXPECT_EQ(measurement.samples(), 80);
  EXPECT_EQ(measurement.report_samples(), 60);
  EXPECT_EQ(measurement.confirmation_samples(), 40);
  EXPECT_TRUE(AreConfirmationBits(measurement));
  EXPECT_EQ(measurement.kl_divergence(), 0);
  EXPECT_EQ(measurement.latency_ratio(), 1);
  EXPECT_GT(measurement.latency_us(), 0);
  EXPECT_GT(measurement.macs(), 0);
  EXPECT_EQ(measurement.size_bytes(),
            static_cast<int64_t>(baseline->evaluation.artifact.size()));
  EXPECT_EQ(measurement.layers_size(), 4);
  EXPECT_EQ(measurement.layers(1).channels(), 32);
  EXPECT_EQ(baseline->report.activation_stats_digest(),
            Sha256Hex(baseline->activation_stats));

  const v1::LatencyTable& table = baseline->report.latency_table();
  std::set<int> layers_in_f32;
  std::set<v1::Precision> precisions;
  for (const auto& entry : table.entries()) {
    EXPECT_GT(entry.latency_us(), 0);
    precisions.insert(entry.precision());
    if (entry.precision() == v1::F32) layers_in_f32.insert(entry.layer());
  }
  EXPECT_EQ(layers_in_f32.size(), 4u);
  EXPECT_EQ(precisions.count(v1::INT8), 1u);
}

TEST(OneDnnEvaluator, LooksTakeTheLatencyThatWasPredicted) {
  const auto evaluator = MustOpen();
  const auto baseline = evaluator->EvaluateBaseline();
  ASSERT_TRUE(baseline.ok()) << baseline.status();
  const v1::CompressionPlan plan =
      Uniform(baseline->report.space(), v1::INT8, 8, 1);
  v1::Rivals rivals;
  rivals.set_predicted_latency_us(1e6);
  rivals.set_predicted_latency_ratio(1e3);
  rivals.set_counts_latency(true);
  const auto alone = evaluator->LookFirst(plan, rivals);
  ASSERT_TRUE(alone.ok()) << alone.status();
  ASSERT_TRUE(alone->has_value());
  EXPECT_EQ((*alone)->early_stop().beaten_by(), 0);
  EXPECT_EQ((*alone)->latency_repeats(), 0);
  EXPECT_EQ((*alone)->latency_us(), 1e6);
  EXPECT_EQ((*alone)->latency_ratio(), 1e3);

  // Nothing is to be gained on this one, which is faster.
  v1::Rival* rival = rivals.add_rivals();
  rival->set_number(7);
  *rival->mutable_plan() = plan;
  rival->set_latency_ratio(1);
  const auto ended = evaluator->LookFirst(plan, rivals);
  ASSERT_TRUE(ended.ok()) << ended.status();
  ASSERT_TRUE(ended->has_value());
  EXPECT_EQ((*ended)->early_stop().beaten_by(), 7);
  EXPECT_EQ((*ended)->latency_ratio(), 1e3);
}

TEST(OneDnnEvaluator, GivesTheBaselinePlanTheBaselinesAnswers) {
  const auto evaluator = MustOpen();
  const auto baseline = evaluator->EvaluateBaseline();
  ASSERT_TRUE(baseline.ok()) << baseline.status();
  const auto again =
      evaluator->Evaluate(BaselinePlan(baseline->report.space()));
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(Timeless(again->measurement),
            Timeless(baseline->evaluation.measurement));
  EXPECT_EQ(again->artifact, baseline->evaluation.artifact);
}

TEST(OneDnnEvaluator, MeasuresPlansAlikeInEveryProcess) {
  const auto first = MustOpen();
  const auto baseline = first->EvaluateBaseline();
  ASSERT_TRUE(baseline.ok()) << baseline.status();
  const auto second = MustOpen(baseline->activation_stats);
  for (const double keep : {1.0, 0.5}) {
    const v1::CompressionPlan plan =
        Uniform(baseline->report.space(), v1::INT8, 6, keep);
    const auto a = first->Evaluate(plan);
    const auto b = second->Evaluate(plan);
    ASSERT_TRUE(a.ok()) << a.status();
    ASSERT_TRUE(b.ok()) << b.status();
    EXPECT_EQ(Timeless(a->measurement), Timeless(b->measurement));
    EXPECT_EQ(a->artifact, b->artifact);
  }
}

TEST(OneDnnEvaluator, SeesWhatCompressionCostsAndSaves) {
  const auto evaluator = MustOpen();
  const auto baseline = evaluator->EvaluateBaseline();
  ASSERT_TRUE(baseline.ok()) << baseline.status();
  const v1::SearchSpace& space = baseline->report.space();
  const auto wide = evaluator->Evaluate(Uniform(space, v1::INT8, 8, 1));
  const auto narrow = evaluator->Evaluate(Uniform(space, v1::INT8, 3, 0.5));
  ASSERT_TRUE(wide.ok()) << wide.status();
  ASSERT_TRUE(narrow.ok()) << narrow.status();
  EXPECT_GT(wide->measurement.kl_divergence(), 0);
  EXPECT_GT(narrow->measurement.kl_divergence(),
            wide->measurement.kl_divergence());
  EXPECT_EQ(wide->measurement.macs(), baseline->evaluation.measurement.macs());
  EXPECT_LT(narrow->measurement.macs(), wide->measurement.macs());
  EXPECT_LT(narrow->measurement.packed_bytes(),
            wide->measurement.packed_bytes());
  EXPECT_LT(narrow->measurement.layers(1).channels(), 32);
}

TEST(OneDnnEvaluator, MeasuresTheModelThatItExports) {
  const auto evaluator = MustOpen();
  const auto baseline = evaluator->EvaluateBaseline();
  ASSERT_TRUE(baseline.ok()) << baseline.status();
  const auto evaluation =
      evaluator->Evaluate(Uniform(baseline->report.space(), v1::INT8, 4, 0.5));
  ASSERT_TRUE(evaluation.ok()) << evaluation.status();
  const auto parsed = ParseOnnx(evaluation->artifact);
  ASSERT_TRUE(parsed.ok()) << parsed.status();
  const auto graph = Canonicalize(*parsed);
  ASSERT_TRUE(graph.ok()) << graph.status();
  const auto data = OpenJobData(*graph, {{"data", SmallDataset(kSamples)}},
                                SmallSpec().dataset());
  ASSERT_TRUE(data.ok()) << data.status();
  const auto answers =
      Answer(*graph, (*data)->search.inputs, (*data)->search.samples);
  ASSERT_TRUE(answers.ok()) << answers.status();
  const Accuracy accuracy = Score(*answers, *answers, (*data)->search.labels);
  // One sample may fall the other way where a value lies between two levels.
  EXPECT_NEAR(accuracy.correct, evaluation->measurement.correct(), 1);
}

TEST(OneDnnEvaluator, MeasuresAgreementWithoutLabels) {
  Dataset unlabelled = SmallDataset(kSamples);
  unlabelled.labels.clear();
  const auto evaluator = OpenOneDnnEvaluator(
      SmallModel(), {{"data", unlabelled}}, SmallSpec(), "", QuickOptions());
  ASSERT_TRUE(evaluator.ok()) << evaluator.status();
  const auto baseline = (*evaluator)->EvaluateBaseline();
  ASSERT_TRUE(baseline.ok()) << baseline.status();
  EXPECT_EQ(baseline->evaluation.measurement.metric(), "agreement");
  EXPECT_EQ(baseline->evaluation.measurement.accuracy(), 1);
}

// The baseline and one trial of `model` at a batch.
void ExpectSearchable(const std::string& model, int batch) {
  v1::JobSpec spec = SmallSpec();
  spec.set_batch(batch);
  const auto evaluator = OpenOneDnnEvaluator(
      model, {{"data", SmallDataset(kSamples)}}, spec, "", QuickOptions());
  ASSERT_TRUE(evaluator.ok()) << evaluator.status();
  const auto baseline = (*evaluator)->EvaluateBaseline();
  ASSERT_TRUE(baseline.ok()) << baseline.status();
  // What a sample costs does not depend on how many come at a time.
  const auto cost = ComputeCost(SmallNetwork());
  ASSERT_TRUE(cost.ok()) << cost.status();
  EXPECT_EQ(baseline->evaluation.measurement.macs(), cost->macs);
  const auto plan = Uniform(baseline->report.space(), v1::INT8, 8, 0.5);
  const auto evaluation = (*evaluator)->Evaluate(plan);
  ASSERT_TRUE(evaluation.ok()) << evaluation.status();
  EXPECT_LT(evaluation->measurement.macs(), cost->macs);
}

TEST(OneDnnEvaluator, RunsModelsOfAFixedBatch) {
  for (const int batch : {1, 4}) {
    ExpectSearchable(*SerializeOnnx(SmallNetwork(batch)), batch);
  }
}

TEST(OneDnnEvaluator, TakesSizesThatAModelLeavesOpenFromTheData) {
  ExpectSearchable(SmallNetworkOfAnySize(), 1);
}

TEST(OneDnnEvaluator, RefusesAnIllegalPlan) {
  EXPECT_EQ(MustOpen()->Evaluate({}).status().code(),
            absl::StatusCode::kInvalidArgument);
}

TEST(OneDnnEvaluator, BlamesModelAndDataForWhatIsTheirFault) {
  struct Case {
    std::string message;
    std::string model;
    v1::JobSpec spec;
  };
  v1::JobSpec batch = SmallSpec();
  batch.set_batch(2);
  NetBuilder plain(1);
  const ValueId input = plain.Input({kDynamic, 3, 8, 8});
  const Graph no_layers = plain.Build({plain.Op("Relu", {input})});
  v1::JobSpec mean = SmallSpec();
  mean.mutable_dataset()->add_mean(1);
  const std::vector<Case> cases = {
      {"model", "not a model", SmallSpec()},
      {"batch of 1", *SerializeOnnx(SmallNetwork(1)), batch},
      {"model", *SerializeOnnx(no_layers), SmallSpec()},
      {"mean has 2 numbers", SmallModel(), mean},
  };
  for (const Case& c : cases) {
    const auto evaluator =
        OpenOneDnnEvaluator(c.model, {{"data", SmallDataset(kSamples)}}, c.spec,
                            "", QuickOptions());
    ASSERT_FALSE(evaluator.ok()) << c.message;
    EXPECT_EQ(evaluator.status().code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(std::string(evaluator.status().message()),
                HasSubstr(c.message));
  }
}

// One number of one calibration sample.
TEST(OneDnnEvaluator, BlamesTheDataForANanInCalibration) {
  const Graph graph = *Canonicalize(SmallNetwork());
  const auto data = *OpenJobData(graph, {{"data", SmallDataset(kSamples)}},
                                 SmallSpec().dataset());
  Dataset dataset = SmallDataset(kSamples);
  Array& x = dataset.inputs["x"];
  std::vector<float> values;
  for (const char byte : x.bytes) {
    values.push_back(static_cast<float>(static_cast<unsigned char>(byte)));
  }
  values[data->calibration.samples[0] * x.SampleElements() + 5] =
      std::numeric_limits<float>::quiet_NaN();
  x.type = Array::Type::kFloat32;
  x.bytes.assign(reinterpret_cast<const char*>(values.data()),
                 values.size() * sizeof(float));
  const auto evaluator = OpenOneDnnEvaluator(SmallModel(), {{"data", dataset}},
                                             SmallSpec(), "", QuickOptions());
  ASSERT_TRUE(evaluator.ok()) << evaluator.status();
  const absl::Status status = (*evaluator)->EvaluateBaseline().status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()),
              HasSubstr("input0 is not finite (infinite or NaN) on the "
                        "calibration samples; check the preprocessing"));
}

TEST(OneDnnEvaluator, BlamesTheModelForOutputsThatAreNotFinite) {
  NetBuilder net(1);
  const ValueId input = net.Input({kDynamic, 3, 8, 8});
  const ValueId conv = net.Conv(input, 3, 16, 3);
  const float most = std::numeric_limits<float>::max();
  const ValueId large = net.Op(
      "Mul",
      {conv, net.Constant(Tensor::Of<float>({1}, std::vector<float>{most}))});
  const ValueId huge = net.Op("Mul", {large, large});
  const std::string model = *SerializeOnnx(net.Build({huge}));
  const auto evaluator =
      OpenOneDnnEvaluator(model, {{"data", SmallDataset(kSamples)}},
                          SmallSpec(), "", QuickOptions());
  ASSERT_TRUE(evaluator.ok()) << evaluator.status();
  const auto baseline = (*evaluator)->EvaluateBaseline();
  EXPECT_EQ(baseline.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(baseline.status().message()),
              HasSubstr("not finite"));
}

TEST(ChannelsOf, ReadsEveryLayoutOfWeights) {
  NetBuilder net(1);
  const ValueId input = net.Input({1, 8, 4, 4});
  const ValueId grouped = net.Conv(input, 8, 12, 3, 1, /*groups=*/4);
  const ValueId flat = net.Op("Flatten", {grouped});
  const ValueId turned = net.Gemm(flat, 192, 7, /*is_transposed=*/true);
  const Graph graph = net.Build({net.Gemm(turned, 7, 5, false)});
  const auto channels = [&graph](int node) {
    const ChannelCounts both = ChannelsOf(graph, graph.nodes()[node]);
    return std::vector<int64_t>{both.in, both.out};
  };
  EXPECT_THAT(channels(0), ::testing::ElementsAre(8, 12));
  EXPECT_THAT(channels(2), ::testing::ElementsAre(192, 7));
  EXPECT_THAT(channels(3), ::testing::ElementsAre(7, 5));
}

TEST(OneDnnEvaluator, AnyNumberOfThreadsGivesTheSameBytes) {
  std::string artifact;
  for (const int threads : {1, 2}) {
    v1::JobSpec spec = SmallSpec();
    spec.set_threads(threads);
    auto evaluator =
        OpenOneDnnEvaluator(SmallModel(), {{"data", SmallDataset(kSamples)}},
                            spec, "", QuickOptions());
    ASSERT_TRUE(evaluator.ok()) << evaluator.status();
    const v1::SearchSpace space =
        (*evaluator)->EvaluateBaseline()->report.space();
    const auto evaluation =
        (*evaluator)->Evaluate(Uniform(space, v1::INT8, 4, 0.5));
    ASSERT_TRUE(evaluation.ok()) << evaluation.status();
    if (threads == 1) artifact = evaluation->artifact;
    EXPECT_EQ(evaluation->artifact, artifact);
  }
  SetThreads(1);
}

TEST(OneDnnEvaluator, TheSettingsOfTheJobReachThePlan) {
  const auto evaluate = [](const v1::JobSpec& spec) {
    auto evaluator =
        OpenOneDnnEvaluator(SmallModel(), {{"data", SmallDataset(kSamples)}},
                            spec, "", QuickOptions());
    EXPECT_TRUE(evaluator.ok()) << evaluator.status();
    const v1::SearchSpace space =
        (*evaluator)->EvaluateBaseline()->report.space();
    return (*evaluator)->Evaluate(Uniform(space, v1::INT8, 4, 1))->measurement;
  };
  v1::JobSpec sparse = SmallSpec();
  sparse.mutable_compression()->set_sparsity("0.7");
  EXPECT_LT(evaluate(sparse).entropy_bytes(),
            evaluate(SmallSpec()).entropy_bytes());
  v1::JobSpec wrong = SmallSpec();
  wrong.mutable_compression()->set_prune_criterion("nonesuch");
  EXPECT_THAT(std::string(OpenOneDnnEvaluator(
                              SmallModel(), {{"data", SmallDataset(kSamples)}},
                              wrong, "", QuickOptions())
                              .status()
                              .message()),
              HasSubstr("prune_criterion: "));
}

v1::BaselineReport ReportOf(const v1::JobSpec& spec) {
  auto evaluator =
      OpenOneDnnEvaluator(SmallModel(), {{"data", SmallDataset(kSamples)}},
                          spec, "", QuickOptions());
  EXPECT_TRUE(evaluator.ok()) << evaluator.status();
  return (*evaluator)->EvaluateBaseline()->report;
}

TEST(OneDnnEvaluator, SensitivityComesWithTheBaselineWhereAskedFor) {
  v1::JobSpec spec = SmallSpec();
  spec.set_sensitivity_samples(32);
  const v1::BaselineReport report = ReportOf(spec);
  EXPECT_EQ(report.sensitivity().samples(), 32);
  EXPECT_GT(report.sensitivity().entries_size(), report.space().layers_size());
}

TEST(OneDnnEvaluator, SensitivityComesByItselfWithManyTrialsOnly) {
  v1::JobSpec spec = SmallSpec();
  spec.set_trials(99);
  EXPECT_FALSE(ReportOf(spec).has_sensitivity());
  spec.set_trials(100'000);
  const v1::BaselineReport report = ReportOf(spec);
  EXPECT_GT(report.sensitivity().entries_size(), report.space().layers_size());
  EXPECT_EQ(report.sensitivity().choices_not_reached(), 0);
  spec.set_sensitivity_samples(0);
  EXPECT_FALSE(ReportOf(spec).has_sensitivity());
}

}  // namespace
}  // namespace lathe

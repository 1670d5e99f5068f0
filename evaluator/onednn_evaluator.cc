// The real evaluator: compresses, measures.
#include <algorithm>
#include <chrono>
#include <ctime>
#include <memory>
#include <set>
#include <utility>
#include <vector>

#include "absl/memory/memory.h"
#include "absl/strings/str_cat.h"
#include "base/digest.h"
#include "base/numeric.h"
#include "base/status.h"
#include "compressor/cost.h"
#include "compressor/model_file.h"
#include "compressor/onnx.h"
#include "compressor/packed_model.h"
#include "compressor/remembering_source.h"
#include "compressor/shape_inference.h"
#include "evaluator/accuracy.h"
#include "evaluator/calibration_source.h"
#include "evaluator/core_pin.h"
#include "evaluator/evaluator.h"
#include "evaluator/executor.h"
#include "evaluator/first_look.h"
#include "evaluator/job_data.h"
#include "evaluator/latency.h"
#include "evaluator/latency_table.h"
#include "evaluator/measured_layers.h"
#include "evaluator/opened_job.h"
#include "evaluator/sensitivity.h"
#include "proto/fidelity.h"
#include "proto/plan.h"

namespace lathe {

const char kEvaluatorVersion[] = "6";

namespace {

using Clock = std::chrono::steady_clock;

// Where a job does not say whether single choices are measured: from so many
// trials on they are, on as many samples as these numbers of input make up,
// within limits, in this share of what all trials will take, and within these
// seconds and bytes. Without it agents try some fifty single changes; a table
// of ResNet-20 takes what six trials take. Seconds are the processor's: on a
// busy machine a table would end early by the clock.
constexpr int64_t kLeastSensitivityTrials = 100;
constexpr int64_t kSensitivityElements = int64_t{1} << 19;
constexpr int64_t kFewestSensitivitySamples = 32;
constexpr int64_t kMostSensitivitySamples = 128;
constexpr double kSensitivityShare = 0.05;
// In a ladder so much of that: its trials take, with the whole measurements
// among them, a tenth to a third of what they would take whole
// (experiments/evaluation/README.md).
constexpr double kLookedTrialShare = 0.25;
constexpr double kMostSensitivitySeconds = 300;
constexpr int64_t kMostSensitivityBytes = int64_t{256} << 20;

double SecondsSince(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

double ProcessorSeconds() {
  return static_cast<double>(std::clock()) / CLOCKS_PER_SEC;
}

// The original ran here, so what a plan's model cannot do is the plan's fault.
absl::Status PlanFault(const absl::Status& status) {
  switch (status.code()) {
    case absl::StatusCode::kInvalidArgument:
    case absl::StatusCode::kUnimplemented:
    case absl::StatusCode::kOutOfRange:
      return absl::FailedPreconditionError(
          absl::StrCat("compressed model: ", status.message()));
    default:
      return status;
  }
}

class OneDnnEvaluator : public Evaluator {
 public:
  OneDnnEvaluator(OpenedJob job, const v1::JobSpec& spec,
                  const EvaluatorOptions& options)
      : graph_(std::move(job.graph)),
        space_(std::move(job.space)),
        data_(std::move(job.data)),
        options_(options),
        compress_(job.compress),
        batch_(std::max(1, spec.batch())),
        profile_(ProbeHardware(std::max(1, spec.threads()))),
        trials_(spec.trials()),
        has_looks_(HasLooks(spec)),
        sensitivity_samples_(spec.has_sensitivity_samples()
                                 ? std::optional(spec.sensitivity_samples())
                                 : std::nullopt),
        source_(&data_->calibration.inputs, data_->calibration.samples,
                graph_.parts().opset),
        remembering_(graph_, source_) {}

  absl::StatusOr<BaselineEvaluation> EvaluateBaseline() override;
  absl::StatusOr<Evaluation> Evaluate(const v1::CompressionPlan& plan) override;
  absl::StatusOr<std::optional<v1::Measurement>> LookFirst(
      const v1::CompressionPlan& plan, const v1::Rivals& rivals) override;

  // Statistics of trial 0, so that they need not be collected.
  absl::Status SetStats(absl::string_view bytes);

 private:
  struct PartAnswers {
    Answers search;
    Answers confirmation;
    Answers report;
  };

  absl::StatusOr<PartAnswers> AnswerParts(const Graph& graph) const;
  // Runs the original model once; what it leaves serves every plan.
  absl::Status PrepareBaseline();
  absl::Status PrepareStats();
  // Measures `graph`, which is the original compressed by `plan`.
  absl::StatusOr<Evaluation> Measure(const Graph& graph,
                                     const v1::CompressionPlan& plan);
  void SetAccuracy(const PartAnswers& answers, v1::Measurement* measurement);
  void SetConfirmation(const Answers& answers,
                       v1::Measurement* measurement) const;
  absl::Status SetLatency(const Graph& graph, v1::Measurement* measurement);
  // First looks at plans; null where the job has none.
  absl::StatusOr<FirstLook*> PrepareLook();
  // `trial_seconds` is what a whole trial takes of the processor.
  absl::Status SetSensitivity(double trial_seconds, v1::BaselineReport* report);

  const Graph graph_;
  const v1::SearchSpace space_;
  const std::unique_ptr<JobData> data_;
  const EvaluatorOptions options_;
  const CompressOptions compress_;
  const int64_t batch_;
  const v1::HardwareProfile profile_;
  const int64_t trials_;
  const bool has_looks_;
  // None: the job does not say.
  const std::optional<int64_t> sensitivity_samples_;
  CalibrationSource source_;
  // Every plan is compressed beside the original.
  RememberingSource remembering_;
  // Of compress_.prune.criterion.
  PruneCache prune_cache_;

  std::optional<PartAnswers> baseline_answers_;
  std::unique_ptr<Executor> baseline_executor_;
  std::optional<ActivationStats> stats_;
  // Made for the first look; null after it where the job has none.
  std::unique_ptr<FirstLook> first_look_;
  bool has_no_look_ = false;
};

absl::Status OneDnnEvaluator::SetStats(absl::string_view bytes) {
  LATHE_ASSIGN_OR_RETURN(stats_, ParseActivationStats(bytes));
  return absl::OkStatus();
}

absl::StatusOr<OneDnnEvaluator::PartAnswers> OneDnnEvaluator::AnswerParts(
    const Graph& graph) const {
  PartAnswers answers;
  LATHE_ASSIGN_OR_RETURN(answers.search, Answer(graph, data_->search.inputs,
                                                data_->search.samples));
  LATHE_ASSIGN_OR_RETURN(
      answers.confirmation,
      Answer(graph, data_->confirmation.inputs, data_->confirmation.samples));
  LATHE_ASSIGN_OR_RETURN(answers.report, Answer(graph, data_->report.inputs,
                                                data_->report.samples));
  return answers;
}

absl::Status OneDnnEvaluator::PrepareBaseline() {
  if (baseline_executor_ != nullptr) return absl::OkStatus();
  auto answers = AnswerParts(graph_);
  if (!answers.ok()) return ModelFault(answers.status());
  auto executor = Executor::Compile(graph_, {batch_});
  if (!executor.ok()) return ModelFault(executor.status());
  baseline_answers_ = *std::move(answers);
  baseline_executor_ = *std::move(executor);
  return absl::OkStatus();
}

absl::Status OneDnnEvaluator::PrepareStats() {
  if (stats_.has_value()) return absl::OkStatus();
  auto stats = CollectActivationStats(graph_, source_, source_.SampleCount());
  if (!stats.ok()) return ModelFault(stats.status());
  stats_ = *std::move(stats);
  return absl::OkStatus();
}

void OneDnnEvaluator::SetAccuracy(const PartAnswers& answers,
                                  v1::Measurement* measurement) {
  const Accuracy search =
      Score(answers.search, baseline_answers_->search, data_->search.labels);
  const Accuracy report =
      Score(answers.report, baseline_answers_->report, data_->report.labels);
  measurement->set_metric(data_->search.labels.empty() ? "agreement" : "top1");
  measurement->set_correct(search.correct);
  measurement->set_samples(search.samples);
  measurement->set_accuracy(static_cast<double>(search.correct) /
                            search.samples);
  const Interval interval = WilsonInterval(search.correct, search.samples);
  measurement->set_accuracy_low(interval.low);
  measurement->set_accuracy_high(interval.high);
  measurement->set_kl_divergence(search.kl_divergence);
  measurement->set_report_correct(report.correct);
  measurement->set_report_samples(report.samples);
  if (report.samples > 0) {
    measurement->set_report_accuracy(static_cast<double>(report.correct) /
                                     report.samples);
  }
  SetConfirmation(answers.confirmation, measurement);
}

void OneDnnEvaluator::SetConfirmation(const Answers& answers,
                                      v1::Measurement* measurement) const {
  const Answers& reference = baseline_answers_->confirmation;
  const std::vector<int64_t>& labels = data_->confirmation.labels;
  measurement->set_confirmation_samples(answers.samples());
  measurement->set_confirmation_correct(
      Score(answers, reference, labels).correct);
  measurement->set_confirmation_bits(CorrectBits(answers, reference, labels));
}

absl::Status OneDnnEvaluator::SetLatency(const Graph& graph,
                                         v1::Measurement* measurement) {
  LATHE_ASSIGN_OR_RETURN(const std::unique_ptr<Executor> executor,
                         Executor::Compile(graph, {batch_}));
  measurement->set_peak_activation_bytes(executor->peak_activation_bytes());
  // Real samples in both: zeros and denormals run at speeds of their own.
  const std::vector<int64_t> samples = {data_->search.samples[0]};
  LATHE_RETURN_IF_ERROR(data_->search.inputs.Fill(samples, executor.get()));
  LATHE_RETURN_IF_ERROR(
      data_->search.inputs.Fill(samples, baseline_executor_.get()));
  LatencyOptions latency;
  latency.least_repeats = options_.least_repeats;
  latency.most_repeats = options_.most_repeats;
  latency.interval_width = options_.interval_width;
  latency.most_seconds = options_.most_latency_seconds;
  LatencyComparison comparison;
  {
    LATHE_ASSIGN_OR_RETURN(const std::unique_ptr<CorePin> pin,
                           CorePin::Pin(options_.pinned_core));
    LATHE_ASSIGN_OR_RETURN(
        comparison,
        CompareLatency(TimeRuns(executor.get(), profile_.threads()),
                       TimeRuns(baseline_executor_.get(), profile_.threads()),
                       latency));
  }
  measurement->set_latency_us(comparison.candidate.median_us);
  measurement->set_latency_us_p05(comparison.candidate.p05_us);
  measurement->set_latency_us_p95(comparison.candidate.p95_us);
  measurement->set_latency_repeats(comparison.candidate.repeats);
  measurement->set_baseline_latency_us(comparison.baseline.median_us);
  measurement->set_latency_ratio(comparison.ratio);
  measurement->set_latency_ratio_low(comparison.ratio_interval.low);
  measurement->set_latency_ratio_high(comparison.ratio_interval.high);
  measurement->set_is_noisy(comparison.is_noisy);
  return absl::OkStatus();
}

absl::StatusOr<Evaluation> OneDnnEvaluator::Measure(
    const Graph& graph, const v1::CompressionPlan& plan) {
  Evaluation evaluation;
  LATHE_ASSIGN_OR_RETURN(evaluation.artifact, SerializeOnnx(graph));
  // What is measured is the file, as liblathe_runtime will read it.
  LATHE_ASSIGN_OR_RETURN(const Graph exported, OpenModel(evaluation.artifact));
  v1::Measurement& measurement = evaluation.measurement;
  LATHE_ASSIGN_OR_RETURN(const PartAnswers answers, AnswerParts(exported));
  SetAccuracy(answers, &measurement);
  LATHE_RETURN_IF_ERROR(SetLatency(exported, &measurement));
  LATHE_ASSIGN_OR_RETURN(const ModelCost cost, ComputeCost(graph));
  measurement.set_size_bytes(evaluation.artifact.size());
  measurement.set_packed_bytes(cost.packed_bytes);
  LATHE_ASSIGN_OR_RETURN(const std::string packed,
                         PackModel(evaluation.artifact));
  measurement.set_entropy_bytes(packed.size());
  measurement.set_macs(cost.macs);
  *measurement.mutable_profile() = profile_;
  measurement.set_evaluator_version(kEvaluatorVersion);
  SetMeasuredLayers(graph, space_, plan, &measurement);
  return evaluation;
}

absl::Status OneDnnEvaluator::SetSensitivity(double trial_seconds,
                                             v1::BaselineReport* report) {
  const bool is_asked_for = sensitivity_samples_.has_value();
  if (is_asked_for ? *sensitivity_samples_ == 0
                   : trials_ < kLeastSensitivityTrials) {
    return absl::OkStatus();
  }
  SensitivityOptions options;
  if (has_looks_ && !is_asked_for) {
    // What they make of a layer serves the looks at plans, too.
    LATHE_ASSIGN_OR_RETURN(FirstLook* const look, PrepareLook());
    if (look != nullptr) {
      options.carry_out = [look](const v1::CompressionPlan& plan) {
        return look->Sketch(plan);
      };
    }
  }
  LATHE_ASSIGN_OR_RETURN(const int64_t elements, SampleElements(graph_));
  options.samples = sensitivity_samples_.value_or(
      std::clamp(kSensitivityElements / elements, kFewestSensitivitySamples,
                 kMostSensitivitySamples));
  options.compress = compress_;
  if (!is_asked_for) {
    const double all_seconds = trial_seconds * static_cast<double>(trials_) *
                               (has_looks_ ? kLookedTrialShare : 1);
    const double most_seconds =
        std::min(kMostSensitivitySeconds, kSensitivityShare * all_seconds);
    options.most_bytes = kMostSensitivityBytes;
    options.is_time_over = [start = ProcessorSeconds(), most_seconds] {
      return ProcessorSeconds() - start > most_seconds;
    };
  }
  auto sensitivity = MeasureSensitivity(graph_, space_, *data_, *stats_,
                                        remembering_, options);
  if (!sensitivity.ok()) {
    // A search goes on without a table that nobody asked for.
    return is_asked_for ? ModelFault(sensitivity.status()) : absl::OkStatus();
  }
  *report->mutable_sensitivity() = *std::move(sensitivity);
  return absl::OkStatus();
}

absl::StatusOr<BaselineEvaluation> OneDnnEvaluator::EvaluateBaseline() {
  const Clock::time_point start = Clock::now();
  SetThreads(profile_.threads());
  LATHE_RETURN_IF_ERROR(PrepareBaseline());
  LATHE_RETURN_IF_ERROR(PrepareStats());
  BaselineEvaluation baseline;
  const double measuring = ProcessorSeconds();
  auto evaluation = Measure(graph_, BaselinePlan(space_));
  const double trial_seconds = ProcessorSeconds() - measuring;
  if (!evaluation.ok()) return ModelFault(evaluation.status());
  baseline.evaluation = *std::move(evaluation);
  v1::Measurement& measurement = baseline.evaluation.measurement;
  // It was measured against itself: the interval told the noise, the ratio is
  // known.
  measurement.set_latency_ratio(1);
  measurement.set_latency_ratio_low(1);
  measurement.set_latency_ratio_high(1);
  measurement.set_baseline_latency_us(measurement.latency_us());

  LatencyTableOptions table;
  table.batch = batch_;
  auto latency_table =
      BuildLatencyTable(graph_, space_, *stats_, source_, table);
  if (!latency_table.ok()) return ModelFault(latency_table.status());
  *baseline.report.mutable_latency_table() = *std::move(latency_table);
  *baseline.report.mutable_latency_table()->mutable_profile() = profile_;
  *baseline.report.mutable_space() = space_;
  LATHE_RETURN_IF_ERROR(SetSensitivity(trial_seconds, &baseline.report));
  baseline.activation_stats = SerializeActivationStats(*stats_);
  baseline.report.set_activation_stats_digest(
      Sha256Hex(baseline.activation_stats));
  measurement.set_evaluation_seconds(SecondsSince(start));
  return baseline;
}

absl::StatusOr<Evaluation> OneDnnEvaluator::Evaluate(
    const v1::CompressionPlan& plan) {
  const Clock::time_point start = Clock::now();
  LATHE_RETURN_IF_ERROR(ValidatePlan(space_, plan));
  SetThreads(profile_.threads());
  LATHE_RETURN_IF_ERROR(PrepareBaseline());
  LATHE_RETURN_IF_ERROR(PrepareStats());
  CompressOptions compress = compress_;
  compress.prune_cache = &prune_cache_;
  const auto compressed =
      Compress(graph_, space_, plan, *stats_, remembering_, compress);
  if (!compressed.ok()) return PlanFault(compressed.status());
  auto evaluation = Measure(*compressed, plan);
  if (!evaluation.ok()) return PlanFault(evaluation.status());
  evaluation->measurement.set_evaluation_seconds(SecondsSince(start));
  return evaluation;
}

absl::StatusOr<FirstLook*> OneDnnEvaluator::PrepareLook() {
  if (first_look_ != nullptr || has_no_look_) return first_look_.get();
  LATHE_RETURN_IF_ERROR(PrepareBaseline());
  LATHE_RETURN_IF_ERROR(PrepareStats());
  CompressOptions compress = compress_;
  compress.prune_cache = &prune_cache_;
  auto made = FirstLook::Create(graph_, space_, *data_, *stats_, remembering_,
                                compress, baseline_answers_->search);
  has_no_look_ = !made.ok();
  if (made.ok()) first_look_ = *std::move(made);
  return first_look_.get();
}

absl::StatusOr<std::optional<v1::Measurement>> OneDnnEvaluator::LookFirst(
    const v1::CompressionPlan& plan, const v1::Rivals& rivals) {
  const Clock::time_point start = Clock::now();
  LATHE_RETURN_IF_ERROR(ValidatePlan(space_, plan));
  if (!(rivals.predicted_latency_ratio() > 0)) return std::nullopt;
  SetThreads(profile_.threads());
  LATHE_ASSIGN_OR_RETURN(FirstLook* const look, PrepareLook());
  if (look == nullptr) return std::nullopt;
  // What a sketch cannot do is for Evaluate to judge.
  auto looked = look->Judge(plan, rivals);
  if (!looked.ok()) return std::nullopt;
  looked->set_evaluator_version(kEvaluatorVersion);
  *looked->mutable_profile() = profile_;
  looked->set_evaluation_seconds(SecondsSince(start));
  return *std::move(looked);
}

}  // namespace

absl::StatusOr<std::unique_ptr<Evaluator>> OpenOneDnnEvaluator(
    absl::string_view model, std::map<std::string, Dataset> datasets,
    const v1::JobSpec& spec, absl::string_view activation_stats,
    const EvaluatorOptions& options) {
  LATHE_ASSIGN_OR_RETURN(OpenedJob job,
                         OpenJob(model, std::move(datasets), spec));
  auto evaluator =
      std::make_unique<OneDnnEvaluator>(std::move(job), spec, options);
  if (!activation_stats.empty()) {
    LATHE_RETURN_IF_ERROR(evaluator->SetStats(activation_stats));
  }
  return evaluator;
}

}  // namespace lathe

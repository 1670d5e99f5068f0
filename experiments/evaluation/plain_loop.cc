#include "experiments/evaluation/plain_loop.h"

#include <vector>

#include "absl/memory/memory.h"
#include "base/status.h"
#include "compressor/activation_stats.h"
#include "compressor/compression_settings.h"
#include "compressor/model_file.h"
#include "compressor/onnx.h"
#include "compressor/search_space.h"
#include "evaluator/calibration_source.h"
#include "evaluator/latency.h"
#include "evaluator/model_inputs.h"

namespace lathe {

absl::StatusOr<std::unique_ptr<PlainLoop>> PlainLoop::Open(
    absl::string_view model, std::map<std::string, Dataset> datasets,
    const v1::JobSpec& spec) {
  const Dataset& whole = datasets.at(spec.dataset().digest());
  LATHE_ASSIGN_OR_RETURN(
      Graph graph, OpenModel(model, ShapesOfData(&whole, spec.dataset())));
  LATHE_ASSIGN_OR_RETURN(const SpaceOptions options,
                         MakeSpaceOptions(spec.compression(), HasNativeBf16()));
  LATHE_ASSIGN_OR_RETURN(v1::SearchSpace space,
                         MakeSearchSpace(graph, options));
  LATHE_ASSIGN_OR_RETURN(
      std::unique_ptr<JobData> data,
      OpenJobData(graph, std::move(datasets), spec.dataset()));
  auto loop = absl::WrapUnique(
      new PlainLoop(std::move(graph), std::move(space), std::move(data)));
  LATHE_RETURN_IF_ERROR(loop->AnswerOriginal());
  return loop;
}

absl::Status PlainLoop::AnswerOriginal() {
  LATHE_ASSIGN_OR_RETURN(
      search_, Answer(graph_, data_->search.inputs, data_->search.samples));
  LATHE_ASSIGN_OR_RETURN(
      report_, Answer(graph_, data_->report.inputs, data_->report.samples));
  LATHE_ASSIGN_OR_RETURN(original_, Executor::Compile(graph_, {}));
  return absl::OkStatus();
}

absl::StatusOr<v1::Measurement> PlainLoop::Evaluate(
    const v1::CompressionPlan& plan) {
  CalibrationSource source(&data_->calibration.inputs,
                           data_->calibration.samples, graph_.parts().opset);
  LATHE_ASSIGN_OR_RETURN(
      const ActivationStats stats,
      CollectActivationStats(graph_, source, source.SampleCount()));
  LATHE_ASSIGN_OR_RETURN(const Graph compressed,
                         Compress(graph_, space_, plan, stats, source));
  LATHE_ASSIGN_OR_RETURN(const std::string file, SerializeOnnx(compressed));
  LATHE_ASSIGN_OR_RETURN(const Graph graph, OpenModel(file));
  v1::Measurement measurement;
  LATHE_ASSIGN_OR_RETURN(
      const Answers search,
      Answer(graph, data_->search.inputs, data_->search.samples));
  LATHE_ASSIGN_OR_RETURN(
      const Answers report,
      Answer(graph, data_->report.inputs, data_->report.samples));
  const Accuracy searched = Score(search, search_, data_->search.labels);
  const Accuracy reported = Score(report, report_, data_->report.labels);
  measurement.set_correct(searched.correct);
  measurement.set_samples(searched.samples);
  measurement.set_kl_divergence(searched.kl_divergence);
  measurement.set_report_correct(reported.correct);
  measurement.set_report_samples(reported.samples);
  measurement.set_size_bytes(static_cast<int64_t>(file.size()));
  LATHE_RETURN_IF_ERROR(SetLatency(graph, &measurement));
  return measurement;
}

absl::Status PlainLoop::SetLatency(const Graph& graph,
                                   v1::Measurement* measurement) {
  LATHE_ASSIGN_OR_RETURN(const std::unique_ptr<Executor> executor,
                         Executor::Compile(graph, {}));
  const std::vector<int64_t> sample = {data_->search.samples[0]};
  LATHE_RETURN_IF_ERROR(data_->search.inputs.Fill(sample, executor.get()));
  LATHE_RETURN_IF_ERROR(data_->search.inputs.Fill(sample, original_.get()));
  LATHE_ASSIGN_OR_RETURN(
      const LatencyComparison latency,
      CompareLatency(TimeRuns(executor.get(), /*threads=*/1),
                     TimeRuns(original_.get(), /*threads=*/1), {}));
  measurement->set_latency_us(latency.candidate.median_us);
  measurement->set_latency_ratio(latency.ratio);
  measurement->set_baseline_latency_us(latency.baseline.median_us);
  return absl::OkStatus();
}

}  // namespace lathe

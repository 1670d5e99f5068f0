#include "experiments/compression/study.h"

#include <CLI/CLI.hpp>
#include <cstdio>
#include <utility>

#include "absl/memory/memory.h"
#include "base/file.h"
#include "base/status.h"
#include "compressor/batch_norm_scores.h"
#include "compressor/canonical.h"
#include "compressor/cost.h"
#include "compressor/onnx.h"
#include "evaluator/executor.h"

namespace lathe {

void AddStudyFlags(CLI::App& app, StudyFlags& flags) {
  app.add_option("MODEL", flags.model, "ONNX file")->required();
  AddDataFlags(app, flags.data);
}

Study::Study(Graph graph, std::unique_ptr<JobData> data)
    : graph_(std::move(graph)),
      data_(std::move(data)),
      source_(&data_->calibration.inputs, data_->calibration.samples,
              graph_.parts().opset),
      remembering_(graph_, source_) {}

absl::StatusOr<std::unique_ptr<Study>> Study::Open(const StudyFlags& flags) {
  SetThreads(1);
  LATHE_ASSIGN_OR_RETURN(LoadedData loaded, LoadData(flags.data));
  LATHE_ASSIGN_OR_RETURN(const std::string bytes, ReadFile(flags.model));
  LATHE_ASSIGN_OR_RETURN(const Graph parsed, ParseOnnx(bytes));
  LATHE_ASSIGN_OR_RETURN(Graph graph, Canonicalize(parsed));
  LATHE_ASSIGN_OR_RETURN(
      std::unique_ptr<JobData> data,
      OpenJobData(graph, std::move(loaded.datasets), loaded.spec));
  auto study = absl::WrapUnique(new Study(std::move(graph), std::move(data)));
  study->gammas_ = BatchNormScales(parsed);
  LATHE_ASSIGN_OR_RETURN(study->reference_,
                         Answer(study->graph_, study->data_->search.inputs,
                                study->data_->search.samples));
  LATHE_ASSIGN_OR_RETURN(const ModelCost cost, ComputeCost(study->graph_));
  study->macs_ = cost.macs;
  return study;
}

absl::StatusOr<Accuracy> Study::AccuracyOf(const Graph& graph) const {
  LATHE_ASSIGN_OR_RETURN(
      const Answers answers,
      Answer(graph, data_->search.inputs, data_->search.samples));
  return Score(answers, reference_, data_->search.labels);
}

double CpuSecondsSince(std::clock_t start) {
  return static_cast<double>(std::clock() - start) / CLOCKS_PER_SEC;
}

double ShareOf(const Accuracy& accuracy) {
  return static_cast<double>(accuracy.correct) /
         static_cast<double>(accuracy.samples);
}

int RunStudy(CLI::App& app, int argc, char** argv,
             const std::function<absl::Status()>& run) {
  CLI11_PARSE(app, argc, argv);
  const absl::Status status = run();
  if (status.ok()) return 0;
  std::fprintf(stderr, "%s\n", status.ToString().c_str());
  return 1;
}

}  // namespace lathe

// `lathe-worker trial`: compresses and measures one plan without a server.
#include <CLI/CLI.hpp>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/file.h"
#include "base/status.h"
#include "client/compression_flags.h"
#include "client/json_text.h"
#include "client/plan_json.h"
#include "client/point_json.h"
#include "client/worker/command.h"
#include "compressor/compression_settings.h"
#include "compressor/external_data.h"
#include "compressor/packed_model.h"
#include "compressor/search_space.h"
#include "data/data_flags.h"
#include "evaluator/evaluator.h"
#include "evaluator/executor.h"
#include "evaluator/model_inputs.h"

namespace lathe {
namespace {

struct TrialFlags {
  std::string model;
  std::string plan;
  std::string export_path;
  std::string format = "qdq";
  std::string output = "text";
  int threads = 1;
  int batch = 1;
  std::optional<int> core;
  DataFlags data;
  v1::CompressionSettings compression;
};

absl::StatusOr<v1::CompressionPlan> ReadPlan(const std::string& text,
                                             const v1::SearchSpace& space) {
  if (absl::StartsWith(text, "uniform:")) {
    auto plan = UniformPlan(text, space);
    if (!plan.ok()) return Annotate(plan.status(), "--plan");
    return plan;
  }
  LATHE_ASSIGN_OR_RETURN(const std::string bytes, ReadFile(text));
  const auto json = ParseJson(bytes);
  if (!json.ok()) return Annotate(json.status(), text);
  auto plan = PlanFromJson(*json, space);
  if (!plan.ok()) return Annotate(plan.status(), text);
  return plan;
}

absl::StatusOr<v1::SearchSpace> OpenSpace(
    const std::string& model, const LoadedData& data,
    const v1::CompressionSettings& settings) {
  LATHE_ASSIGN_OR_RETURN(
      const Graph graph,
      OpenGraph(model, ShapesOfData(&data.datasets.at(data.spec.digest()),
                                    data.spec)));
  LATHE_ASSIGN_OR_RETURN(const SpaceOptions options,
                         MakeSpaceOptions(settings, HasNativeBf16()));
  auto space = MakeSearchSpace(graph, options);
  if (!space.ok()) return ModelFailed(space.status(), model);
  return space;
}

absl::StatusOr<Evaluation> EvaluatePlan(const TrialFlags& flags,
                                        const v1::CompressionPlan& plan,
                                        LoadedData data) {
  LATHE_ASSIGN_OR_RETURN(const std::string model, ReadModelFile(flags.model));
  v1::JobSpec spec;
  *spec.mutable_dataset() = data.spec;
  spec.set_threads(flags.threads);
  spec.set_batch(flags.batch);
  *spec.mutable_compression() = flags.compression;
  EvaluatorOptions options;
  options.pinned_core = flags.core;
  SetThreads(flags.threads);
  LATHE_ASSIGN_OR_RETURN(
      const std::unique_ptr<Evaluator> evaluator,
      OpenOneDnnEvaluator(model, std::move(data.datasets), spec,
                          /*activation_stats=*/"", options));
  auto evaluation = evaluator->Evaluate(plan);
  if (!evaluation.ok()) return ModelFailed(evaluation.status(), flags.model);
  return evaluation;
}

std::string PointText(const v1::Measurement& measurement) {
  return absl::StrFormat(
      "%s %.2f %% (%d of %d), report %.2f %%\n"
      "latency %.1f us, %.3f of the original (%.3f to %.3f)%s\n"
      "size %d bytes, packed %d, entropy coded %d; %d MACs\n"
      "measured in %.1f s\n",
      measurement.metric(), 100 * measurement.accuracy(), measurement.correct(),
      measurement.samples(), 100 * measurement.report_accuracy(),
      measurement.latency_us(), measurement.latency_ratio(),
      measurement.latency_ratio_low(), measurement.latency_ratio_high(),
      measurement.is_noisy() ? ", noisy" : "", measurement.size_bytes(),
      measurement.packed_bytes(), measurement.entropy_bytes(),
      measurement.macs(), measurement.evaluation_seconds());
}

absl::Status RunTrial(const TrialFlags& flags) {
  LATHE_ASSIGN_OR_RETURN(LoadedData data, LoadData(flags.data));
  LATHE_ASSIGN_OR_RETURN(const v1::SearchSpace space,
                         OpenSpace(flags.model, data, flags.compression));
  v1::Trial trial;
  LATHE_ASSIGN_OR_RETURN(*trial.mutable_proposal()->mutable_plan(),
                         ReadPlan(flags.plan, space));
  LATHE_ASSIGN_OR_RETURN(
      const Evaluation evaluation,
      EvaluatePlan(flags, trial.proposal().plan(), std::move(data)));
  if (!flags.export_path.empty()) {
    std::string bytes = evaluation.artifact;
    if (flags.format == "lathe") {
      LATHE_ASSIGN_OR_RETURN(bytes, PackModel(evaluation.artifact));
    }
    LATHE_RETURN_IF_ERROR(WriteFileAtomically(flags.export_path, bytes));
  }
  *trial.mutable_measurement() = evaluation.measurement;
  if (flags.output == "json") {
    nlohmann::json point = PointToJson(trial);
    point["evaluation_seconds"] = evaluation.measurement.evaluation_seconds();
    PrintJson(point);
  } else {
    PrintText(PointText(evaluation.measurement));
  }
  return absl::OkStatus();
}

}  // namespace

void AddTrial(CLI::App& app, ChosenCommand& chosen) {
  auto flags = std::make_shared<TrialFlags>();
  CLI::App* command = app.add_subcommand(
      "trial", "Compress a model by one plan and measure it");
  AddModelArgument(*command, flags->model);
  AddOutputFlag(*command, flags->output);
  AddThreadsFlag(*command, flags->threads);
  command->add_option("--batch", flags->batch, "samples of one inference call")
      ->check(CLI::Range(1, 65536));
  command
      ->add_option("--plan", flags->plan,
                   "plan.json, or uniform:PRECISION[:BITS[:KEEP]] as in "
                   "uniform:int8:4:0.75")
      ->required();
  command->add_option("--export", flags->export_path,
                      "where to write the compressed model");
  command
      ->add_option("--format", flags->format,
                   "qdq: an ONNX file; lathe: packed")
      ->check(CLI::IsMember({"qdq", "lathe"}));
  command->add_option("--core", flags->core,
                      "core to pin to while latency is measured");
  AddDataFlags(*command, flags->data);
  AddCompressionFlags(*command, flags->compression);
  command->callback(
      [flags, &chosen] { chosen.run = [flags] { return RunTrial(*flags); }; });
}

}  // namespace lathe

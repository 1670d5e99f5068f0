// `lathe-worker eval`: how right a model is, and how like another one.
#include <CLI/CLI.hpp>
#include <memory>
#include <nlohmann/json.hpp>
#include <numeric>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/status.h"
#include "client/worker/command.h"
#include "data/data_flags.h"
#include "data/dataset.h"
#include "evaluator/accuracy.h"
#include "evaluator/executor.h"
#include "evaluator/model_inputs.h"

namespace lathe {
namespace {

struct EvalFlags {
  std::string model;
  std::string against;
  std::string output = "text";
  int threads = 1;
  DataFlags data;
};

absl::StatusOr<Answers> AnswerAll(const std::string& model,
                                  const LoadedData& data) {
  const Dataset& dataset = data.datasets.at(data.spec.digest());
  LATHE_ASSIGN_OR_RETURN(const Graph graph,
                         OpenGraph(model, ShapesOfData(&dataset, data.spec)));
  // Data that do not fit the model are usage, not the model's failure.
  LATHE_ASSIGN_OR_RETURN(const ModelInputs inputs,
                         ModelInputs::Bind(graph, &dataset, data.spec));
  const auto classes = OutputClasses(graph);
  if (!classes.ok()) return ModelFailed(classes.status(), model);
  LATHE_RETURN_IF_ERROR(CheckLabels(dataset, *classes));
  std::vector<int64_t> samples(dataset.SampleCount());
  std::iota(samples.begin(), samples.end(), 0);
  auto answers = Answer(graph, inputs, samples);
  if (!answers.ok()) return ModelFailed(answers.status(), model);
  return answers;
}

double Share(const Accuracy& accuracy) {
  return static_cast<double>(accuracy.correct) / accuracy.samples;
}

nlohmann::json ToJson(const char* metric, const Accuracy& accuracy) {
  return {{"metric", metric},
          {"value", Share(accuracy)},
          {"correct", accuracy.correct},
          {"samples", accuracy.samples}};
}

absl::StatusOr<nlohmann::json> Evaluate(const EvalFlags& flags) {
  LATHE_ASSIGN_OR_RETURN(const LoadedData data, LoadData(flags.data));
  const std::vector<int64_t>& labels =
      data.datasets.at(data.spec.digest()).labels;
  if (labels.empty() && flags.against.empty()) {
    return absl::InvalidArgumentError(
        "--data: no labels; add them, or name a model to agree with by "
        "--against");
  }
  SetThreads(flags.threads);
  LATHE_ASSIGN_OR_RETURN(const Answers answers, AnswerAll(flags.model, data));
  if (flags.against.empty()) {
    return ToJson("top1", Score(answers, answers, labels));
  }
  LATHE_ASSIGN_OR_RETURN(const Answers reference,
                         AnswerAll(flags.against, data));
  if (answers.classes != reference.classes) {
    return absl::InvalidArgumentError(
        absl::StrCat("--against: the models have ", answers.classes, " and ",
                     reference.classes, " outputs; name a model with as many"));
  }
  const Accuracy agreement = Score(answers, reference, {});
  nlohmann::json result =
      labels.empty() ? ToJson("agreement", agreement)
                     : ToJson("top1", Score(answers, reference, labels));
  result["agreement"] = Share(agreement);
  result["agreeing"] = agreement.correct;
  result["kl_divergence"] = agreement.kl_divergence;
  if (!labels.empty()) {
    result["against"] = ToJson("top1", Score(reference, reference, labels));
  }
  return result;
}

absl::Status RunEval(const EvalFlags& flags) {
  LATHE_ASSIGN_OR_RETURN(const nlohmann::json result, Evaluate(flags));
  if (flags.output == "json") {
    PrintJson(result);
    return absl::OkStatus();
  }
  PrintText(absl::StrFormat(
      "%s %.2f %% (%d of %d)\n", result["metric"].get<std::string>(),
      100 * result["value"].get<double>(), result["correct"].get<int64_t>(),
      result["samples"].get<int64_t>()));
  if (result.contains("agreement")) {
    PrintText(absl::StrFormat("agreement %.2f %%, divergence %.3g nats\n",
                              100 * result["agreement"].get<double>(),
                              result["kl_divergence"].get<double>()));
  }
  return absl::OkStatus();
}

}  // namespace

void AddEval(CLI::App& app, ChosenCommand& chosen) {
  auto flags = std::make_shared<EvalFlags>();
  CLI::App* command =
      app.add_subcommand("eval", "Measure a model's accuracy on all samples");
  AddModelArgument(*command, flags->model);
  AddOutputFlag(*command, flags->output);
  AddThreadsFlag(*command, flags->threads);
  command->add_option("--against", flags->against,
                      "ONNX file to compare the answers with");
  AddDataFlags(*command, flags->data);
  command->callback(
      [flags, &chosen] { chosen.run = [flags] { return RunEval(*flags); }; });
}

}  // namespace lathe

// `lathe-worker sensitivity`: what single choices cost.
#include <CLI/CLI.hpp>
#include <ctime>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/status.h"
#include "client/compression_flags.h"
#include "client/json_text.h"
#include "client/worker/command.h"
#include "compressor/compression_settings.h"
#include "compressor/remembering_source.h"
#include "compressor/search_space.h"
#include "data/data_flags.h"
#include "evaluator/calibration_source.h"
#include "evaluator/executor.h"
#include "evaluator/job_data.h"
#include "evaluator/model_inputs.h"
#include "evaluator/sensitivity.h"
#include "proto/names.h"

namespace lathe {
namespace {

struct SensitivityFlags {
  std::string model;
  std::string output = "text";
  int64_t samples = 512;
  DataFlags data;
  v1::CompressionSettings compression;
};

struct NamedSensitivity {
  v1::SearchSpace space;
  v1::Sensitivity sensitivity;
  double cpu_seconds = 0;
};

absl::StatusOr<NamedSensitivity> Measure(const SensitivityFlags& flags) {
  SensitivityOptions options;
  options.samples = flags.samples;
  LATHE_ASSIGN_OR_RETURN(options.compress,
                         MakeCompressOptions(flags.compression));
  const std::clock_t start = std::clock();
  LATHE_ASSIGN_OR_RETURN(LoadedData loaded, LoadData(flags.data));
  LATHE_ASSIGN_OR_RETURN(
      const Graph graph,
      OpenGraph(flags.model,
                ShapesOfData(&loaded.datasets.at(loaded.spec.digest()),
                             loaded.spec)));
  LATHE_ASSIGN_OR_RETURN(const SpaceOptions space_options,
                         MakeSpaceOptions(flags.compression, HasNativeBf16()));
  NamedSensitivity named;
  auto space = MakeSearchSpace(graph, space_options);
  if (!space.ok()) return ModelFailed(space.status(), flags.model);
  named.space = *std::move(space);
  LATHE_ASSIGN_OR_RETURN(
      const std::unique_ptr<JobData> data,
      OpenJobData(graph, std::move(loaded.datasets), loaded.spec));
  CalibrationSource source(&data->calibration.inputs, data->calibration.samples,
                           graph.parts().opset);
  LATHE_ASSIGN_OR_RETURN(
      const ActivationStats stats,
      CollectActivationStats(graph, source, source.SampleCount()));
  RememberingSource remembering(graph, source);
  LATHE_ASSIGN_OR_RETURN(named.sensitivity,
                         MeasureSensitivity(graph, named.space, *data, stats,
                                            remembering, options));
  named.cpu_seconds =
      static_cast<double>(std::clock() - start) / CLOCKS_PER_SEC;
  return named;
}

double DropOf(const v1::Sensitivity& sensitivity,
              const v1::Sensitivity::Entry& entry) {
  return static_cast<double>(sensitivity.baseline_correct() - entry.correct()) /
         static_cast<double>(sensitivity.samples());
}

nlohmann::json ToJson(const NamedSensitivity& named) {
  nlohmann::json choices = nlohmann::json::array();
  for (const v1::Sensitivity::Entry& entry : named.sensitivity.entries()) {
    choices.push_back(
        {{"layer", named.space.layers(entry.layer()).name()},
         {"precision", std::string(PrecisionName(entry.choice().precision()))},
         {"weight_bits", entry.choice().weight_bits()},
         {"keep_ratio", entry.choice().keep_ratio()},
         {"accuracy_drop", DropOf(named.sensitivity, entry)},
         {"kl_divergence", entry.kl_divergence()}});
  }
  return {{"samples", named.sensitivity.samples()},
          {"baseline_correct", named.sensitivity.baseline_correct()},
          {"choices", choices},
          {"cpu_seconds", named.cpu_seconds}};
}

std::string ToText(const NamedSensitivity& named) {
  std::string text =
      absl::StrFormat("%-28s %-9s %4s %6s %8s %12s\n", "LAYER", "PRECISION",
                      "BITS", "KEEP", "DROP", "DIVERGENCE");
  for (const v1::Sensitivity::Entry& entry : named.sensitivity.entries()) {
    absl::StrAppendFormat(
        &text, "%-28s %-9s %4d %6.3f %8.4f %12.6f\n",
        named.space.layers(entry.layer()).name(),
        PrecisionName(entry.choice().precision()), entry.choice().weight_bits(),
        entry.choice().keep_ratio(), DropOf(named.sensitivity, entry),
        entry.kl_divergence());
  }
  absl::StrAppendFormat(&text,
                        "%d of %d samples right before; %.1f s of one core\n",
                        named.sensitivity.baseline_correct(),
                        named.sensitivity.samples(), named.cpu_seconds);
  return text;
}

absl::Status RunSensitivity(const SensitivityFlags& flags) {
  SetThreads(1);
  LATHE_ASSIGN_OR_RETURN(const NamedSensitivity named, Measure(flags));
  if (flags.output == "json") {
    PrintJson(ToJson(named));
  } else {
    PrintText(ToText(named));
  }
  return absl::OkStatus();
}

}  // namespace

void AddSensitivity(CLI::App& app, ChosenCommand& chosen) {
  auto flags = std::make_shared<SensitivityFlags>();
  CLI::App* command = app.add_subcommand(
      "sensitivity", "Measure what each choice costs when it is the only one");
  AddModelArgument(*command, flags->model);
  AddOutputFlag(*command, flags->output);
  command->add_option("--samples", flags->samples, "of the search split")
      ->check(CLI::Range(1, 1000000))
      ->capture_default_str();
  AddDataFlags(*command, flags->data);
  AddCompressionFlags(*command, flags->compression);
  command->callback([flags, &chosen] {
    chosen.run = [flags] { return RunSensitivity(*flags); };
  });
}

}  // namespace lathe

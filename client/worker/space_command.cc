// `lathe-worker space`: the decisions that a model offers.
#include <CLI/CLI.hpp>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "base/status.h"
#include "client/compression_flags.h"
#include "client/plan_json.h"
#include "client/worker/command.h"
#include "compressor/compression_settings.h"
#include "compressor/search_space.h"
#include "evaluator/executor.h"
#include "proto/names.h"

namespace lathe {
namespace {

struct SpaceFlags {
  std::string model;
  std::vector<std::string> sizes;
  std::string output = "text";
  v1::CompressionSettings compression;
};

std::string PrecisionsText(const v1::Layer& layer) {
  return absl::StrJoin(
      layer.precisions(), " ",
      [](std::string* out, const v1::PrecisionOption& option) {
        absl::StrAppend(out, std::string(PrecisionName(option.precision())));
        if (option.precision() == v1::INT8) {
          absl::StrAppend(out, ":", option.weight_bits());
        }
      });
}

std::string SpaceText(const v1::SearchSpace& space) {
  std::string text =
      absl::StrFormat("%-28s %-14s %5s %5s %7s %12s  %s\n", "LAYER", "KIND",
                      "GROUP", "IN", "OUT", "MACS", "PRECISIONS; KEEP RATIOS");
  for (const v1::Layer& layer : space.layers()) {
    absl::StrAppendFormat(&text, "%-28s %-14s %5d %5d %7d %12d  %s; %s\n",
                          layer.name(), layer.kind(), layer.group(),
                          layer.in_channels(), layer.out_channels(),
                          layer.macs(), PrecisionsText(layer),
                          absl::StrJoin(layer.keep_ratios(), " "));
  }
  return text;
}

absl::Status RunSpace(const SpaceFlags& flags) {
  LATHE_ASSIGN_OR_RETURN(const Graph graph,
                         OpenGraph(flags.model, ShapesOfFlags(flags.sizes)));
  LATHE_ASSIGN_OR_RETURN(const SpaceOptions options,
                         MakeSpaceOptions(flags.compression, HasNativeBf16()));
  const auto space = MakeSearchSpace(graph, options);
  if (!space.ok()) return ModelFailed(space.status(), flags.model);
  if (flags.output == "json") {
    PrintJson(SpaceToJson(*space));
  } else {
    PrintText(SpaceText(*space));
  }
  return absl::OkStatus();
}

}  // namespace

void AddSpace(CLI::App& app, ChosenCommand& chosen) {
  auto flags = std::make_shared<SpaceFlags>();
  CLI::App* command =
      app.add_subcommand("space", "Print the decisions that a model offers");
  AddModelArgument(*command, flags->model);
  AddSizesFlag(*command, flags->sizes);
  AddOutputFlag(*command, flags->output);
  AddCompressionFlags(*command, flags->compression);
  command->callback(
      [flags, &chosen] { chosen.run = [flags] { return RunSpace(*flags); }; });
}

}  // namespace lathe

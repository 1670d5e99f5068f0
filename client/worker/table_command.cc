// `lathe-worker table`: what each layer of a model would cost on this machine.
#include <CLI/CLI.hpp>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/str_format.h"
#include "base/status.h"
#include "client/point_json.h"
#include "client/worker/bench_model.h"
#include "client/worker/command.h"
#include "compressor/activation_stats.h"
#include "compressor/search_space.h"
#include "evaluator/core_pin.h"
#include "evaluator/executor.h"
#include "evaluator/latency_table.h"
#include "proto/names.h"

namespace lathe {
namespace {

struct TableFlags {
  std::string model;
  std::vector<std::string> sizes;
  std::string output = "text";
  int threads = 1;
  int64_t batch = 1;
  std::optional<int> core;
};

struct NamedTable {
  v1::SearchSpace space;
  v1::LatencyTable table;
};

absl::StatusOr<NamedTable> Measure(const Graph& graph,
                                   const TableFlags& flags) {
  SetThreads(flags.threads);
  SpaceOptions options;
  options.has_bf16 = HasNativeBf16();
  NamedTable named;
  LATHE_ASSIGN_OR_RETURN(named.space, MakeSearchSpace(graph, options));
  RandomSource source(&graph);
  LATHE_ASSIGN_OR_RETURN(
      const ActivationStats stats,
      CollectActivationStats(graph, source, source.SampleCount()));
  LATHE_ASSIGN_OR_RETURN(const auto pin, CorePin::Pin(flags.core));
  LatencyTableOptions table;
  table.batch = flags.batch;
  LATHE_ASSIGN_OR_RETURN(
      named.table, BuildLatencyTable(graph, named.space, stats, source, table));
  *named.table.mutable_profile() = ProbeHardware(flags.threads);
  return named;
}

nlohmann::json TableJson(const NamedTable& named) {
  nlohmann::json entries = nlohmann::json::array();
  for (const v1::LatencyTable::Entry& entry : named.table.entries()) {
    const bool is_converted =
        entry.source_precision() != v1::PRECISION_UNSPECIFIED;
    const v1::Precision source =
        is_converted ? entry.source_precision() : entry.precision();
    entries.push_back(
        {{"layer", named.space.layers(entry.layer()).name()},
         {"precision", std::string(PrecisionName(entry.precision()))},
         {"source_precision", std::string(PrecisionName(source))},
         {"in_channels", entry.in_channels()},
         {"out_channels", entry.out_channels()},
         {"latency_us", entry.latency_us()}});
  }
  return {{"profile", ProfileToJson(named.table.profile())},
          {"other_us", named.table.other_us()},
          {"entries", std::move(entries)}};
}

std::string TableText(const nlohmann::json& table) {
  std::string text = absl::StrFormat("%-28s %-5s %-5s %5s %5s %10s\n", "LAYER",
                                     "PREC", "FROM", "IN", "OUT", "US");
  for (const nlohmann::json& entry : table["entries"]) {
    absl::StrAppendFormat(&text, "%-28s %-5s %-5s %5d %5d %10.2f\n",
                          entry["layer"].get<std::string>(),
                          entry["precision"].get<std::string>(),
                          entry["source_precision"].get<std::string>(),
                          entry["in_channels"].get<int64_t>(),
                          entry["out_channels"].get<int64_t>(),
                          entry["latency_us"].get<double>());
  }
  absl::StrAppendFormat(&text, "outside of the layers %.2f us\n",
                        table["other_us"].get<double>());
  return text;
}

absl::Status RunTable(const TableFlags& flags) {
  LATHE_ASSIGN_OR_RETURN(const Graph graph,
                         OpenGraph(flags.model, ShapesOfFlags(flags.sizes)));
  const auto named = Measure(graph, flags);
  if (!named.ok()) return ModelFailed(named.status(), flags.model);
  const nlohmann::json table = TableJson(*named);
  if (flags.output == "json") {
    PrintJson(table);
  } else {
    PrintText(TableText(table));
  }
  return absl::OkStatus();
}

}  // namespace

void AddTable(CLI::App& app, ChosenCommand& chosen) {
  auto flags = std::make_shared<TableFlags>();
  CLI::App* command = app.add_subcommand(
      "table", "Time each layer at each precision and some channel counts");
  AddModelArgument(*command, flags->model);
  AddSizesFlag(*command, flags->sizes);
  AddOutputFlag(*command, flags->output);
  AddThreadsFlag(*command, flags->threads);
  command->add_option("--batch", flags->batch, "samples of one inference call")
      ->check(CLI::Range(int64_t{1}, int64_t{65536}));
  command->add_option("--core", flags->core, "core to pin to");
  command->callback(
      [flags, &chosen] { chosen.run = [flags] { return RunTable(*flags); }; });
}

}  // namespace lathe

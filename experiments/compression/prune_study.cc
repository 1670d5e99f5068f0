// lathe-prune-study: the accuracy that is left after pruning, by criterion,
// share of the channels and way of rebuilding. One line of tab-separated values
// for each combination; experiments/compression/README.md has the tables.
#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdio>
#include <numeric>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/file.h"
#include "base/status.h"
#include "compressor/channel_groups.h"
#include "compressor/cost.h"
#include "compressor/model_file.h"
#include "compressor/prune_network.h"
#include "data/data_flags.h"
#include "evaluator/accuracy.h"
#include "evaluator/calibration_source.h"
#include "evaluator/executor.h"
#include "evaluator/model_inputs.h"

namespace lathe {
namespace {

struct Flags {
  std::string model;
  DataFlags data;
  std::vector<std::string> criteria = PruneCriterionNames();
  std::vector<std::string> rebuilds = {"none", "recentre", "ridge"};
  std::vector<double> pruned = {0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7};
  // "inner": groups made by one layer (and depthwise ones behind it), as
  // inside a residual block; "all": every group that can lose channels.
  std::string scope = "inner";
  int64_t samples = 256;
  double ridge = 1e-2;
};

double SecondsSince(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start)
      .count();
}

absl::StatusOr<RebuildMethod> ParseRebuild(const std::string& name) {
  if (name == "none") return RebuildMethod::kNone;
  if (name == "recentre") return RebuildMethod::kRecentre;
  if (name == "ridge") return RebuildMethod::kRidge;
  return absl::InvalidArgumentError(
      absl::StrCat("rebuild = '", name, "', not none, recentre or ridge"));
}

absl::StatusOr<Graph> OpenGraph(const std::string& path) {
  LATHE_ASSIGN_OR_RETURN(const std::string bytes, ReadFile(path));
  return OpenModel(bytes);
}

std::vector<int64_t> AllSamples(int64_t count) {
  std::vector<int64_t> samples(count);
  std::iota(samples.begin(), samples.end(), 0);
  return samples;
}

std::vector<double> Ratios(const ChannelGroups& groups, const Flags& flags,
                           double pruned) {
  std::vector<double> ratios;
  for (const ChannelGroup& group : groups.groups) {
    int makers = 0;
    for (const int layer : group.layers) {
      if (groups.layers[layer].kind != "depthwise_conv") ++makers;
    }
    const bool is_cut =
        !group.is_pinned && (flags.scope == "all" || makers == 1);
    ratios.push_back(is_cut ? 1 - pruned : 1);
  }
  return ratios;
}

// Everything that does not depend on the combination.
struct Study {
  Graph graph;
  ChannelGroups groups;
  ModelInputs test;
  std::vector<int64_t> labels;
  Answers reference;
  CalibrationSource source;
  int64_t macs = 0;
};

absl::Status RunCell(Study& study, const Flags& flags,
                     const std::string& criterion, const std::string& rebuild,
                     double pruned, PruneCache* cache) {
  PruneOptions options;
  LATHE_ASSIGN_OR_RETURN(options.criterion, ParsePruneCriterion(criterion));
  LATHE_ASSIGN_OR_RETURN(options.rebuild, ParseRebuild(rebuild));
  options.samples = flags.samples;
  options.ridge = flags.ridge;
  const auto start = std::chrono::steady_clock::now();
  LATHE_ASSIGN_OR_RETURN(const RebuiltNetwork network,
                         PruneNetwork(study.graph, study.groups,
                                      Ratios(study.groups, flags, pruned), {},
                                      study.source, options, cache));
  const double seconds = SecondsSince(start);
  LATHE_ASSIGN_OR_RETURN(
      const Answers answers,
      Answer(network.graph, study.test,
             AllSamples(study.test.dataset().SampleCount())));
  const Accuracy accuracy = Score(answers, study.reference, study.labels);
  LATHE_ASSIGN_OR_RETURN(const ModelCost cost, ComputeCost(network.graph));
  std::printf("%s\t%s\t%s\t%.2f\t%.4f\t%.4f\t%.4f\t%.2f\n", flags.scope.c_str(),
              criterion.c_str(), rebuild.c_str(), pruned,
              static_cast<double>(cost.macs) / study.macs,
              static_cast<double>(accuracy.correct) / accuracy.samples,
              accuracy.kl_divergence, seconds);
  std::fflush(stdout);
  return absl::OkStatus();
}

absl::Status Run(const Flags& flags) {
  SetThreads(1);
  LATHE_ASSIGN_OR_RETURN(const LoadedData data, LoadData(flags.data));
  const Dataset& test = data.datasets.at(data.spec.digest());
  const Dataset& calibration = data.datasets.at(
      data.spec.calibration_digest().empty() ? data.spec.digest()
                                             : data.spec.calibration_digest());
  LATHE_ASSIGN_OR_RETURN(Graph graph, OpenGraph(flags.model));
  LATHE_ASSIGN_OR_RETURN(ChannelGroups groups, FindChannelGroups(graph));
  LATHE_ASSIGN_OR_RETURN(ModelInputs inputs,
                         ModelInputs::Bind(graph, &test, data.spec));
  LATHE_ASSIGN_OR_RETURN(const ModelInputs calibration_inputs,
                         ModelInputs::Bind(graph, &calibration, data.spec));
  LATHE_ASSIGN_OR_RETURN(Answers reference,
                         Answer(graph, inputs, AllSamples(test.SampleCount())));
  LATHE_ASSIGN_OR_RETURN(const ModelCost cost, ComputeCost(graph));
  const int64_t opset = graph.parts().opset;
  Study study{std::move(graph),
              std::move(groups),
              std::move(inputs),
              test.labels,
              std::move(reference),
              CalibrationSource(&calibration_inputs,
                                AllSamples(calibration.SampleCount()), opset),
              cost.macs};
  std::printf(
      "scope\tcriterion\trebuild\tpruned\tmacs\ttop1\tdivergence\tseconds\n");
  for (const std::string& criterion : flags.criteria) {
    PruneCache cache;
    for (const std::string& rebuild : flags.rebuilds) {
      for (const double pruned : flags.pruned) {
        LATHE_RETURN_IF_ERROR(
            RunCell(study, flags, criterion, rebuild, pruned, &cache));
      }
    }
  }
  return absl::OkStatus();
}

}  // namespace
}  // namespace lathe

int main(int argc, char** argv) {
  CLI::App app{"Accuracy after pruning, for each combination"};
  lathe::Flags flags;
  app.add_option("MODEL", flags.model, "ONNX file")->required();
  app.add_option("--criteria", flags.criteria)->delimiter(',');
  app.add_option("--rebuilds", flags.rebuilds)->delimiter(',');
  app.add_option("--pruned", flags.pruned, "shares of channels that go")
      ->delimiter(',');
  app.add_option("--scope", flags.scope)
      ->check(CLI::IsMember({"inner", "all"}));
  app.add_option("--samples", flags.samples, "calibration samples");
  app.add_option("--ridge", flags.ridge);
  lathe::AddDataFlags(app, flags.data);
  CLI11_PARSE(app, argc, argv);
  const absl::Status status = lathe::Run(flags);
  if (status.ok()) return 0;
  std::fprintf(stderr, "%s\n", status.ToString().c_str());
  return 1;
}

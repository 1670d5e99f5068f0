// lathe-prune-study: the accuracy that is left after pruning, by criterion,
// share of the channels and way of rebuilding. One line of tab-separated values
// for each combination; experiments/compression/prune.sh makes the tables of
// README.md from them.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include "base/status.h"
#include "compressor/channel_groups.h"
#include "compressor/compression_settings.h"
#include "compressor/cost.h"
#include "compressor/prune_network.h"
#include "experiments/compression/study.h"

namespace lathe {
namespace {

struct Flags {
  StudyFlags study;
  std::vector<std::string> criteria = PruneCriterionNames();
  std::vector<std::string> rebuilds = {"none", "recentre", "ridge"};
  std::vector<double> pruned = {0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7};
  // "inner": groups made by one layer (and depthwise ones behind it), as
  // inside a residual block; "all": every group that can lose channels.
  std::string scope = "inner";
  int64_t samples = 256;
  double ridge = 1e-2;
};

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

absl::Status RunCell(Study& study, const ChannelGroups& groups,
                     const Flags& flags, const std::string& criterion,
                     const std::string& rebuild, double pruned,
                     PruneCache* cache) {
  PruneOptions options;
  LATHE_ASSIGN_OR_RETURN(options.criterion, ParsePruneCriterion(criterion));
  LATHE_ASSIGN_OR_RETURN(options.rebuild, ParseRebuildMethod(rebuild));
  options.samples = flags.samples;
  options.ridge = flags.ridge;
  options.gammas = study.gammas();
  const std::clock_t start = std::clock();
  LATHE_ASSIGN_OR_RETURN(
      const RebuiltNetwork network,
      PruneNetwork(study.graph(), groups, Ratios(groups, flags, pruned), {},
                   study.source(), options, cache));
  const double seconds = CpuSecondsSince(start);
  LATHE_ASSIGN_OR_RETURN(const Accuracy accuracy,
                         study.AccuracyOf(network.graph));
  LATHE_ASSIGN_OR_RETURN(const ModelCost cost, ComputeCost(network.graph));
  std::printf(
      "%s\t%s\t%s\t%.2f\t%.4f\t%.4f\t%lld\t%.4f\t%.2f\n", flags.scope.c_str(),
      criterion.c_str(), rebuild.c_str(), pruned,
      static_cast<double>(cost.macs) / static_cast<double>(study.macs()),
      ShareOf(accuracy), static_cast<long long>(accuracy.samples),
      accuracy.kl_divergence, seconds);
  std::fflush(stdout);
  return absl::OkStatus();
}

absl::Status Run(const Flags& flags) {
  LATHE_ASSIGN_OR_RETURN(const std::unique_ptr<Study> study,
                         Study::Open(flags.study));
  LATHE_ASSIGN_OR_RETURN(const ChannelGroups groups,
                         FindChannelGroups(study->graph()));
  std::printf(
      "scope\tcriterion\trebuild\tpruned\tmacs\ttop1\tsamples\tdivergence\t"
      "cpu_seconds\n");
  for (const std::string& criterion : flags.criteria) {
    PruneCache cache;
    for (const std::string& rebuild : flags.rebuilds) {
      for (const double pruned : flags.pruned) {
        LATHE_RETURN_IF_ERROR(
            RunCell(*study, groups, flags, criterion, rebuild, pruned, &cache));
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
  lathe::AddStudyFlags(app, flags.study);
  app.add_option("--criteria", flags.criteria)->delimiter(',');
  app.add_option("--rebuilds", flags.rebuilds)->delimiter(',');
  app.add_option("--pruned", flags.pruned, "shares of channels that go")
      ->delimiter(',');
  app.add_option("--scope", flags.scope)
      ->check(CLI::IsMember({"inner", "all"}));
  app.add_option("--samples", flags.samples, "calibration samples");
  app.add_option("--ridge", flags.ridge);
  return lathe::RunStudy(app, argc, argv,
                         [&flags] { return lathe::Run(flags); });
}

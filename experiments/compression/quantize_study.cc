// lathe-quantize-study: accuracy and bytes that are left after quantisation,
// pruning, sparsity and clustering, for each combination of the lists given.
// One line of tab-separated values for each;
// experiments/compression/quantize.sh and size.sh make the tables of README.md
// from them.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "compressor/activation_stats.h"
#include "compressor/compression_settings.h"
#include "compressor/cost.h"
#include "compressor/onnx.h"
#include "compressor/packed_model.h"
#include "compressor/search_space.h"
#include "experiments/compression/study.h"
#include "proto/plan.h"

namespace lathe {
namespace {

// Samples behind the ranges of activations.
constexpr int64_t kStatsSamples = 1024;

// The lists; a cell takes one of each.
struct Flags {
  StudyFlags study;
  // "8": INT8 with weights of 8 bits; "f32", "f32:4": weights alone.
  std::vector<std::string> weight_bits = {"8", "6", "4", "3", "2"};
  std::vector<int> activation_bits = {8};
  std::vector<std::string> ranges = {"mse"};
  std::vector<std::string> scopes = {"channel"};
  std::vector<std::string> repairs = {"all"};
  std::vector<double> keep = {1};
  std::vector<std::string> sparsity = {"0"};
  std::vector<int> clusters = {0};
  std::vector<double> low_rank = {0};
  std::vector<std::string> activations = {"skewed"};
  std::vector<std::string> grids = {"symmetric"};
  int64_t samples = 128;
};

struct Cell {
  std::string weight_bits;
  int activation_bits = 8;
  double keep = 1;
  v1::CompressionSettings settings;
};

// All combinations, the last list fastest.
std::vector<Cell> CellsOf(const Flags& flags) {
  std::vector<Cell> cells(1);
  const auto vary = [&cells](const auto& values, auto set) {
    std::vector<Cell> varied;
    for (const Cell& cell : cells) {
      for (const auto& value : values) {
        varied.push_back(cell);
        set(varied.back(), value);
      }
    }
    cells = std::move(varied);
  };
  using Text = const std::string&;
  vary(flags.ranges, [](Cell& cell, Text text) {
    cell.settings.set_calibration_method(text);
  });
  vary(flags.scopes,
       [](Cell& cell, Text text) { cell.settings.set_weight_scales(text); });
  vary(flags.repairs,
       [](Cell& cell, Text text) { cell.settings.set_repairs(text); });
  vary(flags.keep, [](Cell& cell, double keep) { cell.keep = keep; });
  vary(flags.sparsity,
       [](Cell& cell, Text text) { cell.settings.set_sparsity(text); });
  vary(flags.clusters,
       [](Cell& cell, int count) { cell.settings.set_clusters(count); });
  vary(flags.low_rank,
       [](Cell& cell, double share) { cell.settings.set_low_rank(share); });
  vary(flags.activations,
       [](Cell& cell, Text text) { cell.settings.set_activations(text); });
  vary(flags.grids,
       [](Cell& cell, Text text) { cell.settings.set_weight_grids(text); });
  vary(flags.activation_bits,
       [](Cell& cell, int bits) { cell.activation_bits = bits; });
  vary(flags.weight_bits,
       [](Cell& cell, Text text) { cell.weight_bits = text; });
  return cells;
}

absl::StatusOr<v1::LayerChoice> ParseWeights(const std::string& text) {
  const bool is_float = text.substr(0, 3) == "f32";
  v1::LayerChoice choice;
  choice.set_precision(is_float ? v1::F32 : v1::INT8);
  choice.set_weight_bits(32);
  const std::string bits = !is_float         ? text
                           : text.size() > 4 ? text.substr(4)
                                             : "32";
  int32_t width = 0;
  if (!absl::SimpleAtoi(bits, &width)) {
    return absl::InvalidArgumentError(absl::StrCat(
        "--weight-bits: '", text, "' is not 8, f32 or f32:8, for instance"));
  }
  choice.set_weight_bits(width);
  return choice;
}

absl::StatusOr<v1::CompressionPlan> PlanOf(const v1::SearchSpace& space,
                                           const Cell& cell) {
  LATHE_ASSIGN_OR_RETURN(const v1::LayerChoice wanted,
                         ParseWeights(cell.weight_bits));
  v1::CompressionPlan plan = BaselinePlan(space);
  for (int i = 0; i < space.layers_size(); ++i) {
    v1::LayerChoice* choice = plan.mutable_layers(i);
    const v1::Layer& layer = space.layers(i);
    for (const v1::PrecisionOption& option : layer.precisions()) {
      if (option.precision() != wanted.precision() ||
          option.weight_bits() != wanted.weight_bits()) {
        continue;
      }
      choice->set_precision(option.precision());
      choice->set_weight_bits(option.weight_bits());
    }
    for (const double ratio : layer.keep_ratios()) {
      if (std::abs(ratio - cell.keep) <
          std::abs(choice->keep_ratio() - cell.keep)) {
        choice->set_keep_ratio(ratio);
      }
    }
  }
  return plan;
}

// What a network's lines are compared with.
struct Baseline {
  v1::SearchSpace space;
  ActivationStats stats;
};

absl::Status PrintLine(const Study& study, const Graph& graph,
                       const std::string& cell, double seconds,
                       const std::string& grids) {
  LATHE_ASSIGN_OR_RETURN(const Accuracy accuracy, study.AccuracyOf(graph));
  LATHE_ASSIGN_OR_RETURN(const ModelCost cost, ComputeCost(graph));
  LATHE_ASSIGN_OR_RETURN(const std::string file, SerializeOnnx(graph));
  LATHE_ASSIGN_OR_RETURN(const std::string packed, PackModel(file));
  std::printf(
      "%s\t%.4f\t%lld\t%.4f\t%.3f\t%zu\t%zu\t%.2f\t%s\n", cell.c_str(),
      ShareOf(accuracy), static_cast<long long>(accuracy.samples),
      accuracy.kl_divergence,
      static_cast<double>(cost.macs) / static_cast<double>(study.macs()),
      file.size(), packed.size(), seconds, grids.c_str());
  std::fflush(stdout);
  return absl::OkStatus();
}

absl::Status RunCell(Study& study, const Baseline& baseline, const Cell& cell,
                     int64_t samples) {
  LATHE_ASSIGN_OR_RETURN(CompressOptions options,
                         MakeCompressOptions(cell.settings));
  options.weight_samples = samples;
  options.range.bits = cell.activation_bits;
  LATHE_ASSIGN_OR_RETURN(const v1::CompressionPlan plan,
                         PlanOf(baseline.space, cell));
  const std::clock_t start = std::clock();
  LATHE_ASSIGN_OR_RETURN(const Graph graph,
                         Compress(study.graph(), baseline.space, plan,
                                  baseline.stats, study.source(), options));
  const v1::CompressionSettings& s = cell.settings;
  return PrintLine(
      study, graph,
      absl::StrCat(s.calibration_method(), "\t", s.weight_scales(), "\t",
                   s.repairs(), "\t", cell.keep, "\t", s.sparsity(), "\t",
                   s.clusters(), "\t", s.low_rank(), "\t", cell.weight_bits,
                   "\t", cell.activation_bits),
      CpuSecondsSince(start),
      absl::StrCat(s.activations(), "\t", s.weight_grids()));
}

absl::Status Run(const Flags& flags) {
  LATHE_ASSIGN_OR_RETURN(const std::unique_ptr<Study> study,
                         Study::Open(flags.study));
  SpaceOptions space_options;
  space_options.weight_only_bits = {8, 6, 5, 4, 3, 2};
  Baseline baseline;
  LATHE_ASSIGN_OR_RETURN(baseline.space,
                         MakeSearchSpace(study->graph(), space_options));
  LATHE_ASSIGN_OR_RETURN(
      baseline.stats,
      CollectActivationStats(
          study->graph(), study->source(),
          std::min(kStatsSamples, study->source().SampleCount())));
  std::printf(
      "range\tscope\trepairs\tkeep\tsparsity\tclusters\tlow_rank\t"
      "weight_bits\tactivation_bits\ttop1\tsamples\tdivergence\tmacs\t"
      "file_bytes\tpacked_bytes\tcpu_seconds\tactivations\t"
      "weight_grids\n");
  LATHE_RETURN_IF_ERROR(PrintLine(*study, study->graph(),
                                  "-\t-\t-\t1\t0\t0\t0\tf32\t32", 0, "-\t-"));
  for (const Cell& cell : CellsOf(flags)) {
    LATHE_RETURN_IF_ERROR(RunCell(*study, baseline, cell, flags.samples));
  }
  return absl::OkStatus();
}

}  // namespace
}  // namespace lathe

int main(int argc, char** argv) {
  CLI::App app{"Accuracy and bytes after compression, for each combination"};
  lathe::Flags flags;
  lathe::AddStudyFlags(app, flags.study);
  app.add_option("--weight-bits", flags.weight_bits,
                 "2 to 8 for int8, f32, or f32:BITS for weights alone")
      ->delimiter(',');
  app.add_option("--activation-bits", flags.activation_bits)->delimiter(',');
  app.add_option("--ranges", flags.ranges)->delimiter(',');
  app.add_option("--scopes", flags.scopes, "channel, tensor")->delimiter(',');
  app.add_option("--repairs", flags.repairs,
                 "none, all, or names joined by +: refit, rounding, analytic, "
                 "bias, equalize")
      ->delimiter(',');
  app.add_option("--keep", flags.keep, "shares of channels that stay")
      ->delimiter(',');
  app.add_option("--sparsity", flags.sparsity)->delimiter(',');
  app.add_option("--clusters", flags.clusters)->delimiter(',');
  app.add_option("--activations", flags.activations,
                 "skewed, static, asymmetric")
      ->delimiter(',');
  app.add_option("--grids", flags.grids, "of weights: symmetric, asymmetric")
      ->delimiter(',');
  app.add_option("--low-rank", flags.low_rank)->delimiter(',');
  app.add_option("--weight-samples", flags.samples, "calibration samples");
  return lathe::RunStudy(app, argc, argv,
                         [&flags] { return lathe::Run(flags); });
}

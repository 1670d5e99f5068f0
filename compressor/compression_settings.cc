#include "compressor/compression_settings.h"

#include <functional>
#include <set>
#include <string>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "compressor/channel_scores.h"
#include "compressor/quantize_names.h"
#include "compressor/weight_values.h"

namespace lathe {
namespace {

absl::Status SetQuantization(const v1::CompressionSettings& settings,
                             CompressOptions* options) {
  if (!settings.calibration_method().empty()) {
    auto range = ParseRangeMethod(settings.calibration_method());
    if (!range.ok()) return Annotate(range.status(), "calibration_method");
    options->range = *range;
  }
  if (!settings.repairs().empty()) {
    LATHE_RETURN_IF_ERROR(
        Annotate(SetRepairs(settings.repairs(), options), "repairs"));
  }
  if (!settings.weight_scales().empty()) {
    auto scope = ParseScaleScope(settings.weight_scales());
    if (!scope.ok()) return Annotate(scope.status(), "weight_scales");
    options->weights.scale_scope = *scope;
  }
  const std::string& grids = settings.weight_grids();
  if (grids == "asymmetric") {
    options->weights.grids = WeightGrids::kAsymmetric;
  } else if (grids == "symmetric") {
    options->weights.grids = WeightGrids::kSymmetric;
  } else if (!grids.empty() && grids != "narrow") {
    return absl::InvalidArgumentError(absl::StrCat(
        "weight_grids: '", grids, "' is not narrow, symmetric or asymmetric"));
  }
  const std::string& activations = settings.activations();
  if (activations == "asymmetric") {
    options->range.grids = ActivationGrids::kAsymmetric;
  } else if (activations == "static") {
    options->range.grids = ActivationGrids::kSymmetric;
  } else if (!activations.empty() && activations != "skewed") {
    return absl::InvalidArgumentError(
        absl::StrCat("activations: '", activations,
                     "' is not skewed, static (symmetric) or asymmetric"));
  }
  return absl::OkStatus();
}

absl::Status SetSizes(const v1::CompressionSettings& settings,
                      CompressOptions* options) {
  auto sparsity = ParseSparsity(settings.sparsity());
  if (!sparsity.ok()) return Annotate(sparsity.status(), "sparsity");
  options->weights.sparsity = *sparsity;
  const int clusters = settings.clusters();
  if (clusters != 0 && (clusters < 2 || clusters > 256)) {
    return absl::InvalidArgumentError(
        absl::StrCat("clusters: ", clusters, " is neither 0 nor in [2, 256]"));
  }
  options->weights.clusters = clusters;
  const double low_rank = settings.low_rank();
  if (!(low_rank >= 0 && low_rank <= 1)) {
    return absl::InvalidArgumentError(
        absl::StrCat("low_rank: ", low_rank, " is not in [0, 1]"));
  }
  options->low_rank = low_rank;
  return absl::OkStatus();
}

absl::Status SetPruning(const v1::CompressionSettings& settings,
                        PruneOptions* options) {
  if (!settings.prune_criterion().empty()) {
    auto criterion = ParsePruneCriterion(settings.prune_criterion());
    if (!criterion.ok()) return Annotate(criterion.status(), "prune_criterion");
    options->criterion = *criterion;
  }
  if (!settings.rebuild().empty()) {
    auto rebuild = ParseRebuildMethod(settings.rebuild());
    if (!rebuild.ok()) return Annotate(rebuild.status(), "rebuild");
    options->rebuild = *rebuild;
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<CompressOptions> MakeCompressOptions(
    const v1::CompressionSettings& settings) {
  CompressOptions options;
  LATHE_RETURN_IF_ERROR(SetQuantization(settings, &options));
  LATHE_RETURN_IF_ERROR(SetPruning(settings, &options.prune));
  LATHE_RETURN_IF_ERROR(SetSizes(settings, &options));
  options.keep_f32.assign(settings.keep_f32().begin(),
                          settings.keep_f32().end());
  return options;
}

absl::StatusOr<SpaceOptions> MakeSpaceOptions(
    const v1::CompressionSettings& settings, bool has_bf16) {
  SpaceOptions options;
  options.has_bf16 = has_bf16;
  std::set<int, std::greater<>> widths;
  for (const int bits : settings.weight_only_bits()) {
    if (bits < 2 || bits > 8) {
      return absl::InvalidArgumentError(
          absl::StrCat("weight_only_bits: ", bits, " is not in [2, 8]"));
    }
    widths.insert(bits);
  }
  options.weight_only_bits.assign(widths.begin(), widths.end());
  if (!settings.dynamic().empty()) {
    auto dynamic = ParseDynamicLayers(settings.dynamic());
    if (!dynamic.ok()) return Annotate(dynamic.status(), "dynamic");
    options.dynamic = *dynamic;
  }
  options.rules.keep_f32.assign(settings.keep_f32().begin(),
                                settings.keep_f32().end());
  options.rules.keep_channels.assign(settings.keep_channels().begin(),
                                     settings.keep_channels().end());
  return options;
}

absl::StatusOr<RebuildMethod> ParseRebuildMethod(absl::string_view name) {
  if (name == "ridge") return RebuildMethod::kRidge;
  if (name == "recentre") return RebuildMethod::kRecentre;
  if (name == "none") return RebuildMethod::kNone;
  return absl::InvalidArgumentError(
      absl::StrCat("'", name, "' is not ridge, recentre or none"));
}

absl::StatusOr<DynamicLayers> ParseDynamicLayers(absl::string_view name) {
  if (name == "recurrent") return DynamicLayers::kRecurrent;
  if (name == "linear") return DynamicLayers::kLinear;
  if (name == "none") return DynamicLayers::kNone;
  return absl::InvalidArgumentError(
      absl::StrCat("'", name, "' is not recurrent, linear or none"));
}

absl::StatusOr<ScaleScope> ParseScaleScope(absl::string_view name) {
  if (name == "channel") return ScaleScope::kPerChannel;
  if (name == "tensor") return ScaleScope::kPerTensor;
  return absl::InvalidArgumentError(
      absl::StrCat("'", name, "' is not channel or tensor"));
}

}  // namespace lathe

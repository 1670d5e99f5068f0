#include "proto/plan.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <string>

#include "absl/strings/str_cat.h"
#include "base/digest.h"
#include "proto/names.h"

namespace lathe {
namespace {

absl::Status Illegal(const v1::Layer& layer, absl::string_view rule) {
  return absl::InvalidArgumentError(
      absl::StrCat("layer ", layer.name(), ": ", rule));
}

absl::Status ValidateChoice(const v1::Layer& layer,
                            const v1::LayerChoice& choice) {
  const bool has_precision =
      std::any_of(layer.precisions().begin(), layer.precisions().end(),
                  [&choice](const v1::PrecisionOption& option) {
                    return option.precision() == choice.precision() &&
                           option.weight_bits() == choice.weight_bits();
                  });
  if (!has_precision) {
    return Illegal(layer,
                   absl::StrCat(PrecisionName(choice.precision()), " with ",
                                choice.weight_bits(),
                                "-bit weights is not among its precisions"));
  }
  const bool has_ratio =
      std::find(layer.keep_ratios().begin(), layer.keep_ratios().end(),
                choice.keep_ratio()) != layer.keep_ratios().end();
  if (!has_ratio) {
    return Illegal(layer, absl::StrCat("keep_ratio = ", choice.keep_ratio(),
                                       " is not among its keep ratios"));
  }
  return absl::OkStatus();
}

}  // namespace

std::string PlanDigest(const v1::CompressionPlan& plan) {
  std::string canonical;
  for (const v1::LayerChoice& choice : plan.layers()) {
    absl::StrAppend(&canonical, choice.precision(), "/", choice.weight_bits(),
                    "/", absl::Hex(std::llround(choice.keep_ratio() * 1e9)),
                    ";");
  }
  return Sha256Hex(canonical);
}

v1::CompressionPlan BaselinePlan(const v1::SearchSpace& space) {
  v1::CompressionPlan plan;
  for (const v1::Layer& layer : space.layers()) {
    v1::LayerChoice* choice = plan.add_layers();
    if (!layer.precisions().empty()) {
      choice->set_precision(layer.precisions(0).precision());
      choice->set_weight_bits(layer.precisions(0).weight_bits());
    }
    choice->set_keep_ratio(1);
  }
  return plan;
}

int DefaultWeightBits(v1::Precision precision) {
  switch (precision) {
    case v1::INT8:
    case v1::INT8_DYNAMIC:
      return 8;
    case v1::BF16:
      return 16;
    default:
      return 32;
  }
}

absl::Status ValidatePlan(const v1::SearchSpace& space,
                          const v1::CompressionPlan& plan) {
  if (plan.layers_size() != space.layers_size()) {
    return absl::InvalidArgumentError(
        absl::StrCat("the plan has ", plan.layers_size(),
                     " layers, the search space ", space.layers_size()));
  }
  std::map<int, double> ratio_of_group;
  for (int i = 0; i < plan.layers_size(); ++i) {
    const v1::Layer& layer = space.layers(i);
    const v1::LayerChoice& choice = plan.layers(i);
    absl::Status status = ValidateChoice(layer, choice);
    if (!status.ok()) return status;
    const auto [it, is_first] =
        ratio_of_group.emplace(layer.group(), choice.keep_ratio());
    if (!is_first && it->second != choice.keep_ratio()) {
      return Illegal(layer, absl::StrCat("keep_ratio = ", choice.keep_ratio(),
                                         ", but its group ", layer.group(),
                                         " keeps ", it->second));
    }
  }
  return absl::OkStatus();
}

bool IsMeasuredWhole(const v1::Trial& trial) {
  return trial.state() == v1::TRIAL_MEASURED &&
         !trial.measurement().has_early_stop();
}

int64_t KeptChannels(int64_t total, double keep_ratio) {
  return std::max<int64_t>(
      1, std::llround(static_cast<double>(total) * keep_ratio));
}

}  // namespace lathe

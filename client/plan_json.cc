#include "client/plan_json.h"

#include <cmath>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/status.h"
#include "proto/names.h"
#include "proto/plan.h"

namespace lathe {
namespace {

constexpr int kMostWeightBits = 32;

// What the JSON says of one layer; unset where it says nothing.
struct WantedChoice {
  std::optional<v1::Precision> precision;
  std::optional<int> weight_bits;
  std::optional<double> keep_ratio;
};

absl::Status LayerError(absl::string_view layer, absl::string_view rule) {
  return absl::InvalidArgumentError(absl::StrCat("layer ", layer, ": ", rule));
}

double NearestRatio(const v1::Layer& layer, double wanted) {
  double nearest = 1;
  for (const double ratio : layer.keep_ratios()) {
    if (std::abs(ratio - wanted) < std::abs(nearest - wanted)) nearest = ratio;
  }
  return nearest;
}

absl::Status ReadPrecision(const nlohmann::json& layer, absl::string_view name,
                           WantedChoice& wanted) {
  const auto it = layer.find("precision");
  if (it == layer.end() || it->is_null()) return absl::OkStatus();
  if (!it->is_string()) return LayerError(name, "precision is not a string");
  const absl::StatusOr<v1::Precision> precision =
      ParsePrecision(it->get_ref<const std::string&>());
  if (!precision.ok()) {
    return Annotate(precision.status(), absl::StrCat("layer ", name));
  }
  wanted.precision = *precision;
  return absl::OkStatus();
}

absl::Status ReadNumbers(const nlohmann::json& layer, absl::string_view name,
                         WantedChoice& wanted) {
  const auto bits = layer.find("weight_bits");
  if (bits != layer.end() && !bits->is_null()) {
    const bool is_in_range = bits->is_number_integer() &&
                             bits->get<double>() >= 1 &&
                             bits->get<double>() <= kMostWeightBits;
    if (!is_in_range) {
      return LayerError(name,
                        absl::StrCat("weight_bits is not an integer from 1 to ",
                                     kMostWeightBits));
    }
    wanted.weight_bits = bits->get<int>();
  }
  const auto ratio = layer.find("keep_ratio");
  if (ratio != layer.end() && !ratio->is_null()) {
    const bool is_in_range = ratio->is_number() && ratio->get<double>() > 0 &&
                             ratio->get<double>() <= 1;
    if (!is_in_range) {
      return LayerError(name, "keep_ratio is not a number in (0, 1]");
    }
    wanted.keep_ratio = ratio->get<double>();
  }
  return absl::OkStatus();
}

// The "layers" of a plan, or of a point's plan.
absl::StatusOr<const nlohmann::json*> FindLayers(const nlohmann::json& value) {
  const nlohmann::json* plan = &value;
  if (value.is_object() && value.contains("plan")) plan = &value["plan"];
  if (!plan->is_object() || !plan->contains("layers") ||
      !(*plan)["layers"].is_array()) {
    return absl::InvalidArgumentError(
        "a plan is an object with an array \"layers\"");
  }
  return &(*plan)["layers"];
}

absl::StatusOr<std::map<std::string, WantedChoice>> ReadLayers(
    const nlohmann::json& layers) {
  std::map<std::string, WantedChoice> by_name;
  for (const nlohmann::json& layer : layers) {
    if (!layer.is_object() || !layer.contains("name") ||
        !layer["name"].is_string()) {
      return absl::InvalidArgumentError(
          "each of a plan's layers is an object with a string \"name\"");
    }
    const std::string& name = layer["name"].get_ref<const std::string&>();
    WantedChoice wanted;
    LATHE_RETURN_IF_ERROR(ReadPrecision(layer, name, wanted));
    LATHE_RETURN_IF_ERROR(ReadNumbers(layer, name, wanted));
    if (!by_name.emplace(name, wanted).second) {
      return LayerError(name, "named twice");
    }
  }
  return by_name;
}

absl::Status CheckNames(const std::map<std::string, WantedChoice>& by_name,
                        const v1::SearchSpace& space) {
  std::set<std::string> known;
  for (const v1::Layer& layer : space.layers()) known.insert(layer.name());
  for (const auto& [name, wanted] : by_name) {
    if (known.count(name) == 0) {
      return LayerError(name, absl::StrCat("not one of the ", known.size(),
                                           " layers of the search space"));
    }
  }
  return absl::OkStatus();
}

v1::Precision PrecisionOfBits(int weight_bits) {
  if (weight_bits == 32) return v1::F32;
  return weight_bits == 16 ? v1::BF16 : v1::INT8;
}

void FillPrecision(const WantedChoice& wanted, v1::LayerChoice& choice) {
  v1::Precision precision = v1::F32;
  if (wanted.precision.has_value()) {
    precision = *wanted.precision;
  } else if (wanted.weight_bits.has_value()) {
    precision = PrecisionOfBits(*wanted.weight_bits);
  }
  choice.set_precision(precision);
  choice.set_weight_bits(
      wanted.weight_bits.value_or(DefaultWeightBits(precision)));
}

bool Offers(const v1::Layer& layer, v1::Precision precision, int weight_bits) {
  for (const v1::PrecisionOption& option : layer.precisions()) {
    if (option.precision() == precision &&
        option.weight_bits() == weight_bits) {
      return true;
    }
  }
  return false;
}

}  // namespace

absl::StatusOr<v1::CompressionPlan> PlanFromJson(const nlohmann::json& value,
                                                 const v1::SearchSpace& space) {
  LATHE_ASSIGN_OR_RETURN(const nlohmann::json* layers, FindLayers(value));
  LATHE_ASSIGN_OR_RETURN(const auto by_name, ReadLayers(*layers));
  LATHE_RETURN_IF_ERROR(CheckNames(by_name, space));
  // The first ratio named in a group holds for those of it that name none.
  std::map<int, double> group_ratios;
  for (const v1::Layer& layer : space.layers()) {
    const auto it = by_name.find(layer.name());
    if (it != by_name.end() && it->second.keep_ratio.has_value()) {
      group_ratios.emplace(layer.group(),
                           NearestRatio(layer, *it->second.keep_ratio));
    }
  }
  const WantedChoice nothing;
  v1::CompressionPlan plan;
  for (const v1::Layer& layer : space.layers()) {
    const auto it = by_name.find(layer.name());
    const WantedChoice& wanted = it == by_name.end() ? nothing : it->second;
    v1::LayerChoice* choice = plan.add_layers();
    FillPrecision(wanted, *choice);
    const auto group_ratio = group_ratios.find(layer.group());
    const double fallback =
        group_ratio == group_ratios.end() ? 1 : group_ratio->second;
    choice->set_keep_ratio(
        NearestRatio(layer, wanted.keep_ratio.value_or(fallback)));
  }
  LATHE_RETURN_IF_ERROR(ValidatePlan(space, plan));
  return plan;
}

absl::StatusOr<v1::CompressionPlan> UniformPlan(absl::string_view text,
                                                const v1::SearchSpace& space) {
  const std::vector<std::string> parts = absl::StrSplit(text, ':');
  if (parts.size() < 2 || parts.size() > 4 || parts[0] != "uniform") {
    return absl::InvalidArgumentError(absl::StrCat(
        "plan = '", text, "', not uniform:PRECISION[:BITS[:KEEP]]"));
  }
  LATHE_ASSIGN_OR_RETURN(const v1::Precision precision,
                         ParsePrecision(parts[1]));
  int weight_bits = DefaultWeightBits(precision);
  if (parts.size() > 2 && !absl::SimpleAtoi(parts[2], &weight_bits)) {
    return absl::InvalidArgumentError(
        absl::StrCat("bits = '", parts[2], "', not an integer"));
  }
  double keep_ratio = 1;
  if (parts.size() > 3 && (!absl::SimpleAtod(parts[3], &keep_ratio) ||
                           !(keep_ratio > 0 && keep_ratio <= 1))) {
    return absl::InvalidArgumentError(
        absl::StrCat("keep = '", parts[3], "', not a number in (0, 1]"));
  }
  v1::CompressionPlan plan = BaselinePlan(space);
  bool is_offered = space.layers().empty();
  for (int i = 0; i < space.layers_size(); ++i) {
    v1::LayerChoice* choice = plan.mutable_layers(i);
    choice->set_keep_ratio(NearestRatio(space.layers(i), keep_ratio));
    if (!Offers(space.layers(i), precision, weight_bits)) continue;
    is_offered = true;
    choice->set_precision(precision);
    choice->set_weight_bits(weight_bits);
  }
  if (!is_offered) {
    return absl::InvalidArgumentError(
        absl::StrCat("no layer offers ", PrecisionName(precision), " with ",
                     weight_bits, "-bit weights"));
  }
  LATHE_RETURN_IF_ERROR(ValidatePlan(space, plan));
  return plan;
}

nlohmann::json SpaceToJson(const v1::SearchSpace& space) {
  nlohmann::json layers = nlohmann::json::array();
  for (const v1::Layer& layer : space.layers()) {
    nlohmann::json precisions = nlohmann::json::array();
    std::set<int> widths;
    for (const v1::PrecisionOption& option : layer.precisions()) {
      precisions.push_back(
          {{"precision", std::string(PrecisionName(option.precision()))},
           {"weight_bits", option.weight_bits()}});
      widths.insert(option.weight_bits());
    }
    nlohmann::json channels = nlohmann::json::array();
    for (const double ratio : layer.keep_ratios()) {
      channels.push_back(KeptChannels(layer.out_channels(), ratio));
    }
    layers.push_back(
        {{"name", layer.name()},
         {"kind", layer.kind()},
         {"in_channels", layer.in_channels()},
         {"out_channels", layer.out_channels()},
         {"kernel", {layer.kernel_height(), layer.kernel_width()}},
         {"stride", layer.stride()},
         {"in_pixels", layer.in_pixels()},
         {"out_pixels", layer.out_pixels()},
         {"macs", layer.macs()},
         {"parameters", layer.parameters()},
         {"precisions", std::move(precisions)},
         {"weight_bits", std::vector<int>(widths.rbegin(), widths.rend())},
         {"keep_ratios", std::vector<double>(layer.keep_ratios().begin(),
                                             layer.keep_ratios().end())},
         {"channels", std::move(channels)},
         {"group", layer.group()},
         {"input_groups", std::vector<int>(layer.input_groups().begin(),
                                           layer.input_groups().end())}});
  }
  return {{"layers", std::move(layers)}};
}

}  // namespace lathe

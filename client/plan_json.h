// Plans and search spaces as JSON.
#ifndef LATHE_CLIENT_PLAN_JSON_H_
#define LATHE_CLIENT_PLAN_JSON_H_

#include <nlohmann/json.hpp>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "proto/types.pb.h"

namespace lathe {

// The plan that `value` describes: {"layers": [{"name", "precision",
// "weight_bits", "keep_ratio"}]}, or an object with such a "plan" (a POINT).
//
// Layers are matched by name, in any order. What is left out: a layer or a
// precision means f32 (or what weight_bits says: 32 f32, 16 bf16, less int8),
// weight_bits the precision's own width, keep_ratio that of the layer's group,
// or 1. A keep ratio that is not legal becomes the nearest legal one. Other
// fields are ignored, so that a measured plan can be given back.
//
// The result is legal in `space`.
// Errors, naming the layer and the rule:
//   InvalidArgument - not of this form; a name that is not in `space` or comes
//     twice; a precision and width that the layer does not offer; unequal keep
//     ratios within a group; a keep ratio outside (0, 1].
absl::StatusOr<v1::CompressionPlan> PlanFromJson(const nlohmann::json& value,
                                                 const v1::SearchSpace& space);

// The plan of "uniform:PRECISION[:BITS[:KEEP]]", for instance
// "uniform:int8:4:0.75": every layer alike. BITS defaults to the precision's
// own width and KEEP to 1; KEEP becomes the nearest ratio that each group
// offers; a layer that does not offer the precision with these bits stays F32.
//
// Errors:
//   InvalidArgument - not of this form, or no layer offers that choice.
absl::StatusOr<v1::CompressionPlan> UniformPlan(absl::string_view text,
                                                const v1::SearchSpace& space);

// {"layers": [{"name", "kind", "in_channels", "out_channels", "kernel": [h, w],
// "stride", "in_pixels", "out_pixels", "macs", "parameters", "precisions":
// [{"precision", "weight_bits"}], "weight_bits": [all widths], "keep_ratios",
// "channels": [that each ratio leaves], "group", "input_groups"}]}.
nlohmann::json SpaceToJson(const v1::SearchSpace& space);

}  // namespace lathe

#endif  // LATHE_CLIENT_PLAN_JSON_H_

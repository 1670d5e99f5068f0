// The settings of a job as options of the compressor.
//
// Names, the first of each being the default:
//   calibration_method: ParseRangeMethod (quantize_names.h), "mse".
//   repairs: SetRepairs (quantize_names.h), "all".
//   weight_scales: "channel", "tensor".
//   activations: "skewed" (asymmetric where a symmetric grid would leave a
//   quarter unused), "static" (symmetric), "asymmetric".
//   prune_criterion: PruneCriterionNames (channel_scores.h), "redundancy".
//   rebuild: "ridge", "recentre", "none".
//   sparsity: ParseSparsity (weight_values.h), none.
//   clusters: 0, or 2 to 256.
//   low_rank: 0 to 1.
//   weight_only_bits: each in 2 to 8.
//   dynamic: "recurrent", "linear", "none".
//   weight_grids: "narrow" (asymmetric at 2 and 3 bits), "symmetric",
//   "asymmetric".
//   keep_f32, keep_channels: IsNamed (layer_rules.h), none.
#ifndef LATHE_COMPRESSOR_COMPRESSION_SETTINGS_H_
#define LATHE_COMPRESSOR_COMPRESSION_SETTINGS_H_

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "compressor/compress.h"
#include "compressor/search_space.h"
#include "proto/types.pb.h"

namespace lathe {

// Errors: InvalidArgument - another name, a number out of range; the message
// begins with the field's.
absl::StatusOr<CompressOptions> MakeCompressOptions(
    const v1::CompressionSettings& settings);

// The search space that the settings offer on a machine with or without fast
// bf16.
//
// Errors: InvalidArgument - a width out of range, another name.
absl::StatusOr<SpaceOptions> MakeSpaceOptions(
    const v1::CompressionSettings& settings, bool has_bf16);

// "ridge", "recentre" or "none". Errors: InvalidArgument - another name.
absl::StatusOr<RebuildMethod> ParseRebuildMethod(absl::string_view name);

// "recurrent", "linear" or "none". Errors: InvalidArgument - another name.
absl::StatusOr<DynamicLayers> ParseDynamicLayers(absl::string_view name);

// "channel" or "tensor". Errors: InvalidArgument - another name.
absl::StatusOr<ScaleScope> ParseScaleScope(absl::string_view name);

}  // namespace lathe

#endif  // LATHE_COMPRESSOR_COMPRESSION_SETTINGS_H_

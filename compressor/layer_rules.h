// Rules by which users leave layers alone.
#ifndef LATHE_COMPRESSOR_LAYER_RULES_H_
#define LATHE_COMPRESSOR_LAYER_RULES_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "proto/types.pb.h"

namespace lathe {

// Layers by pattern: see CompressionSettings.keep_f32 in proto/types.proto.
struct LayerRules {
  // Stay F32; of all techniques only pruning and rebuild change them.
  std::vector<std::string> keep_f32;
  // Keep all output channels.
  std::vector<std::string> keep_channels;
};

// Whether one of `patterns` names the layer: its name, in which * stands for
// any text and ? for any character, or "kind:" and its kind.
bool IsNamed(const v1::Layer& layer, absl::Span<const std::string> patterns);

// Takes the choices that the rules forbid out of `space`. Layers whose channels
// go together keep them together.
//
// Errors: InvalidArgument - a pattern fits no layer.
absl::Status ApplyRules(const LayerRules& rules, v1::SearchSpace* space);

}  // namespace lathe

#endif  // LATHE_COMPRESSOR_LAYER_RULES_H_

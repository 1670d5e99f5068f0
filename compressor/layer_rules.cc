#include "compressor/layer_rules.h"

#include <algorithm>
#include <cstddef>
#include <set>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "base/status.h"

namespace lathe {
namespace {

// Whether all of `text` fits `pattern`. Where a * took too little, the last one
// takes one character more: linear but for the product of both lengths.
bool Fits(absl::string_view text, absl::string_view pattern) {
  size_t t = 0;
  size_t p = 0;
  size_t star = absl::string_view::npos;  // The last * met.
  size_t taken = 0;                       // Where its text ends.
  while (t < text.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      star = p++;
      taken = t;
    } else if (p < pattern.size() &&
               (pattern[p] == '?' || pattern[p] == text[t])) {
      ++p;
      ++t;
    } else if (star != absl::string_view::npos) {
      p = star + 1;
      t = ++taken;
    } else {
      return false;
    }
  }
  return pattern.find_first_not_of('*', p) == absl::string_view::npos;
}

bool IsNamed(const v1::Layer& layer, absl::string_view pattern) {
  if (absl::ConsumePrefix(&pattern, "kind:")) return layer.kind() == pattern;
  return Fits(layer.name(), pattern);
}

absl::Status CheckFits(absl::Span<const std::string> patterns,
                       absl::string_view field, const v1::SearchSpace& space) {
  for (const std::string& pattern : patterns) {
    const bool fits = std::any_of(
        space.layers().begin(), space.layers().end(),
        [&pattern](const v1::Layer& layer) { return IsNamed(layer, pattern); });
    if (fits) continue;
    return absl::InvalidArgumentError(
        absl::StrCat(field, ": '", pattern,
                     "' fits no layer; `lathe-worker space MODEL` lists names "
                     "and kinds"));
  }
  return absl::OkStatus();
}

}  // namespace

bool IsNamed(const v1::Layer& layer, absl::Span<const std::string> patterns) {
  return std::any_of(patterns.begin(), patterns.end(),
                     [&layer](const std::string& pattern) {
                       return IsNamed(layer, absl::string_view(pattern));
                     });
}

absl::Status ApplyRules(const LayerRules& rules, v1::SearchSpace* space) {
  LATHE_RETURN_IF_ERROR(CheckFits(rules.keep_f32, "keep_f32", *space));
  LATHE_RETURN_IF_ERROR(
      CheckFits(rules.keep_channels, "keep_channels", *space));
  std::set<int> whole_groups;
  for (v1::Layer& layer : *space->mutable_layers()) {
    // The first is F32 with 32 bits.
    if (IsNamed(layer, rules.keep_f32)) {
      layer.mutable_precisions()->DeleteSubrange(1,
                                                 layer.precisions_size() - 1);
    }
    if (IsNamed(layer, rules.keep_channels)) whole_groups.insert(layer.group());
  }
  for (v1::Layer& layer : *space->mutable_layers()) {
    if (whole_groups.count(layer.group()) == 0) continue;
    layer.mutable_keep_ratios()->Truncate(1);
  }
  return absl::OkStatus();
}

}  // namespace lathe

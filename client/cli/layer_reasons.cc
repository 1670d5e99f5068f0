#include "client/cli/layer_reasons.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "proto/names.h"

namespace lathe {
namespace {

// A difference below this share of a layer's time is none.
constexpr double kLeastDifference = 0.02;
// Reorders are told from this share of a layer's time on.
constexpr double kLeastReorder = 0.1;

using Entry = v1::LatencyTable::Entry;

// The table's entry for the layer with all its channels; the slower one where
// layers of different precisions feed it, which is what a single change meets.
const Entry* FindEntry(const v1::BaselineReport& baseline, int layer,
                       v1::Precision precision) {
  const v1::Layer& whole = baseline.space().layers(layer);
  const Entry* found = nullptr;
  for (const Entry& entry : baseline.latency_table().entries()) {
    if (entry.layer() != layer || entry.precision() != precision ||
        entry.in_channels() != whole.in_channels() ||
        entry.out_channels() != whole.out_channels()) {
      continue;
    }
    if (found == nullptr || entry.latency_us() > found->latency_us()) {
      found = &entry;
    }
  }
  return found;
}

const v1::Sensitivity::Entry* FindSensitivity(
    const v1::BaselineReport& baseline, int layer,
    const v1::LayerChoice& choice) {
  for (const auto& entry : baseline.sensitivity().entries()) {
    const v1::LayerChoice& single = entry.choice();
    if (entry.layer() == layer && single.keep_ratio() == 1 &&
        single.precision() == choice.precision() &&
        single.weight_bits() == choice.weight_bits()) {
      return &entry;
    }
  }
  return nullptr;
}

// Of keeping that share of the channels of the layer's group and nothing else.
const v1::Sensitivity::Entry* FindKeepSensitivity(
    const v1::BaselineReport& baseline, int layer, double keep_ratio) {
  const v1::SearchSpace& space = baseline.space();
  for (const auto& entry : baseline.sensitivity().entries()) {
    if (entry.choice().keep_ratio() == keep_ratio &&
        space.layers(entry.layer()).group() == space.layers(layer).group()) {
      return &entry;
    }
  }
  return nullptr;
}

double LostRatio(const v1::BaselineReport& baseline,
                 const v1::Sensitivity::Entry& entry) {
  const v1::Sensitivity& all = baseline.sensitivity();
  return static_cast<double>(all.baseline_correct() - entry.correct()) /
         static_cast<double>(std::max<int64_t>(1, all.samples()));
}

std::string ReorderText(const Entry& entry) {
  const double share = entry.reorder_us() / entry.latency_us();
  if (!(share >= kLeastReorder)) return "";
  return absl::StrFormat("; %.0f %% of it is reorder", 100 * share);
}

bool IsUnchanged(const v1::LayerChoice& choice) {
  return choice.precision() == v1::F32 && choice.weight_bits() == 32;
}

class Explanation {
 public:
  Explanation(const v1::BaselineReport& baseline, int layer,
              const v1::LayerChoice& choice)
      : baseline_(baseline),
        layer_(layer),
        choice_(choice),
        f32_(FindEntry(baseline, layer, v1::F32)) {}

  LayerReason Make() {
    LayerReason reason;
    reason.name = baseline_.space().layers(layer_).name();
    if (f32_ != nullptr) reason.f32_us = f32_->latency_us();
    const Entry* chosen = FindEntry(baseline_, layer_, choice_.precision());
    if (chosen != nullptr) reason.chosen_us = chosen->latency_us();
    const auto* alone = FindSensitivity(baseline_, layer_, choice_);
    if (alone != nullptr) {
      reason.lost_ratio = LostRatio(baseline_, *alone);
      reason.divergence = alone->kl_divergence();
    }
    if (IsUnchanged(choice_)) {
      ExplainWhatWasNotTaken();
    } else {
      ExplainPrecision(chosen, alone);
    }
    if (choice_.keep_ratio() < 1) {
      std::string text = absl::StrFormat("keeps %.0f %% of its channels",
                                         100 * choice_.keep_ratio());
      const auto* kept =
          FindKeepSensitivity(baseline_, layer_, choice_.keep_ratio());
      if (kept != nullptr) {
        absl::StrAppend(&text, ", which alone ", CostText(*kept));
      }
      Say(std::move(text));
    }
    reason.why = absl::StrJoin(parts_, "; ");
    return reason;
  }

 private:
  void Say(std::string text) { parts_.push_back(std::move(text)); }

  // Why no cheaper precision: by what was measured of its finest weights.
  void ExplainWhatWasNotTaken() {
    std::vector<v1::Precision> seen;
    for (const v1::PrecisionOption& option :
         baseline_.space().layers(layer_).precisions()) {
      const v1::Precision precision = option.precision();
      const bool is_first =
          std::find(seen.begin(), seen.end(), precision) == seen.end();
      if (precision == v1::F32 || !is_first) continue;
      seen.push_back(precision);
      ExplainLeftOut(option);
    }
    if (parts_.empty()) Say("f32 is all that is offered");
  }

  void ExplainLeftOut(const v1::PrecisionOption& option) {
    const std::string name(PrecisionName(option.precision()));
    const Entry* entry = FindEntry(baseline_, layer_, option.precision());
    const bool is_known = entry != nullptr && f32_ != nullptr;
    if (is_known &&
        entry->latency_us() > f32_->latency_us() * (1 - kLeastDifference)) {
      Say(absl::StrFormat("%s is not faster here: %.1f us against %.1f%s", name,
                          entry->latency_us(), f32_->latency_us(),
                          ReorderText(*entry)));
      return;
    }
    v1::LayerChoice other;
    other.set_precision(option.precision());
    other.set_weight_bits(option.weight_bits());
    std::string text =
        is_known ? absl::StrFormat("%s would save %.1f of %.1f us", name,
                                   f32_->latency_us() - entry->latency_us(),
                                   f32_->latency_us())
                 : absl::StrCat(name, " was not timed");
    if (const auto* alone = FindSensitivity(baseline_, layer_, other)) {
      absl::StrAppend(&text, " and ", CostText(*alone));
    }
    Say(absl::StrCat(text,
                     "; no measured configuration with it was preferred"));
  }

  void ExplainPrecision(const Entry* chosen,
                        const v1::Sensitivity::Entry* alone) {
    if (choice_.precision() == v1::F32) {
      Say(absl::StrCat("weights of ", choice_.weight_bits(),
                       " bits save bytes, not time"));
    } else if (chosen != nullptr && f32_ != nullptr) {
      const double saved = f32_->latency_us() - chosen->latency_us();
      const std::string name(PrecisionName(choice_.precision()));
      Say(saved > kLeastDifference * f32_->latency_us()
              ? absl::StrFormat("%s saves %.1f of %.1f us%s", name, saved,
                                f32_->latency_us(), ReorderText(*chosen))
              : absl::StrFormat("%s takes %.1f us against %.1f%s", name,
                                chosen->latency_us(), f32_->latency_us(),
                                ReorderText(*chosen)));
    }
    if (choice_.precision() != v1::F32 && choice_.weight_bits() < 8) {
      Say(absl::StrCat(choice_.weight_bits(),
                       " bits instead of 8 save bytes, not time"));
    }
    if (alone != nullptr) Say(absl::StrCat("alone it ", CostText(*alone)));
    if (parts_.empty()) Say("nothing was measured of it alone");
  }

  std::string CostText(const v1::Sensitivity::Entry& entry) const {
    return absl::StrFormat("costs %+.1f points (divergence %.2g)",
                           100 * LostRatio(baseline_, entry),
                           entry.kl_divergence());
  }

  const v1::BaselineReport& baseline_;
  const int layer_;
  const v1::LayerChoice& choice_;
  const Entry* f32_;
  std::vector<std::string> parts_;
};

}  // namespace

std::vector<LayerReason> ExplainLayers(const v1::BaselineReport& baseline,
                                       const v1::CompressionPlan& plan) {
  std::vector<LayerReason> reasons;
  for (int i = 0; i < baseline.space().layers_size(); ++i) {
    reasons.push_back(Explanation(baseline, i, plan.layers(i)).Make());
  }
  return reasons;
}

}  // namespace lathe

// Measured trials as JSON, in the form that every program prints.
//
// Field names and units are a contract with scripts; fields may be added.
#ifndef LATHE_CLIENT_POINT_JSON_H_
#define LATHE_CLIENT_POINT_JSON_H_

#include <nlohmann/json.hpp>

#include "client/json_text.h"
#include "client/plan_json.h"
#include "proto/search.pb.h"
#include "proto/types.pb.h"

namespace lathe {

// {"cpu", "isa", "threads", "onednn"}.
nlohmann::json ProfileToJson(const v1::HardwareProfile& profile);

// A POINT: {"trial", "accuracy", "accuracy_low", "accuracy_high", "samples",
// "report_accuracy", "report_samples", "latency_us", "latency_us_p05",
// "latency_us_p95", "latency_ratio", "latency_ratio_low",
// "latency_ratio_high", "baseline_latency_us", "size_bytes", "packed_bytes",
// "entropy_bytes", "macs", "metric", "correct", "report_correct",
// "kl_divergence", "confirmation_accuracy" with "_low" and "_high" (the 95 %
// Wilson interval), "confirmation_correct" and "confirmation_samples" where
// there is such a split, "latency_repeats", "is_noisy",
// "peak_activation_bytes", "profile": {"cpu", "isa", "threads", "onednn"},
// "plan": {"layers": [{"name", "precision", "weight_bits", "keep_ratio",
// "channels"}]}}.
//
// A trial without a measurement has "trial" and "plan" only. Layers carry the
// names and channels that were measured; without a measurement those of
// `space`, and without that they have no name.
nlohmann::json PointToJson(const v1::Trial& trial,
                           const v1::SearchSpace* space = nullptr);

// POINT plus "state", "source", "reward", "components", "moving_baseline",
// "is_within_budget", "attempts", "learn_sequence", and, where they are set,
// "reason", "explanation", "predicted_latency_us", "reused_from", "artifact",
// "early_stop": {"samples"}, with "beaten_by", "confidence" and
// "loss_difference" where another trial beats it.
// "reward" is null before the agent judged the trial.
nlohmann::json TrialToJson(const v1::Trial& trial,
                           const v1::SearchSpace* space = nullptr);

// {"baseline": POINT, "frontier": [POINT...], "hypervolume"}.
nlohmann::json FrontierToJson(const v1::Frontier& frontier);

}  // namespace lathe

#endif  // LATHE_CLIENT_POINT_JSON_H_

// What can be said of plans and spaces without a model.
#ifndef LATHE_PROTO_PLAN_H_
#define LATHE_PROTO_PLAN_H_

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "proto/types.pb.h"

namespace lathe {

// The SHA-256 of the plan's canonical bytes: equal plans, and only they, have
// equal digests.
std::string PlanDigest(const v1::CompressionPlan& plan);

// The plan that changes nothing: every layer in its first precision (F32 in a
// job's space) with all channels.
v1::CompressionPlan BaselinePlan(const v1::SearchSpace& space);

// The bits that weights of `precision` have when nothing else is said: 32, 16
// or 8.
int DefaultWeightBits(v1::Precision precision);

// Whether `plan` makes one legal choice for each layer of `space`, equal keep
// ratios within each group included.
//
// Errors:
//   InvalidArgument - it does not; the message names the layer and the rule.
absl::Status ValidatePlan(const v1::SearchSpace& space,
                          const v1::CompressionPlan& plan);

// Whether the trial was measured, and not only looked at: only such can be on a
// frontier, and only such are reused.
bool IsMeasuredWhole(const v1::Trial& trial);

// Channels of `total` that a keep ratio leaves: the product, rounded to
// nearest, at least 1.
int64_t KeptChannels(int64_t total, double keep_ratio);

}  // namespace lathe

#endif  // LATHE_PROTO_PLAN_H_

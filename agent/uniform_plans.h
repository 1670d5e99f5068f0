// Plans that treat all layers alike.
#ifndef LATHE_AGENT_UNIFORM_PLANS_H_
#define LATHE_AGENT_UNIFORM_PLANS_H_

#include <vector>

#include "agent/decisions.h"
#include "proto/types.pb.h"

namespace lathe {

// Every layer in `precision` with weights of `weight_bits` where that is
// legal, else in the same precision with the nearest more bits, else in its
// first option; every group keeps the legal ratio nearest to `keep_ratio`.
Choices UniformPlan(const DecisionSpace& space, v1::Precision precision,
                    int weight_bits, double keep_ratio);

// Options that any layer has, and keep ratios that any group has: by
// precision, bits descending; descending.
std::vector<v1::PrecisionOption> AllOptions(const DecisionSpace& space);
std::vector<double> AllKeepRatios(const DecisionSpace& space);

}  // namespace lathe

#endif  // LATHE_AGENT_UNIFORM_PLANS_H_

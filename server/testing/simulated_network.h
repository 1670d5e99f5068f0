// A network that exists only as a search space and formulas: what workers of
// tests measure.
#ifndef LATHE_SERVER_TESTING_SIMULATED_NETWORK_H_
#define LATHE_SERVER_TESTING_SIMULATED_NETWORK_H_

#include "proto/types.pb.h"

namespace lathe::testing {

// Three layers with three precisions and two keep ratios each: 216 plans.
v1::SearchSpace SimulatedSpace();

v1::HardwareProfile SimulatedProfile();

// What a worker reports of a lease: the same plan always measures the same.
// Trial 0 brings its baseline report.
v1::Outcome SimulatedOutcome(const v1::Lease& lease);

}  // namespace lathe::testing

#endif  // LATHE_SERVER_TESTING_SIMULATED_NETWORK_H_

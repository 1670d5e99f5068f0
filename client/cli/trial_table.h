// Trials and frontiers as tables for people.
#ifndef LATHE_CLIENT_CLI_TRIAL_TABLE_H_
#define LATHE_CLIENT_CLI_TRIAL_TABLE_H_

#include <string>
#include <vector>

#include "proto/search.pb.h"
#include "proto/types.pb.h"

namespace lathe {

// A row for the original and for each trial: accuracy, report accuracy,
// latency, ratio, size and its share of the original's.
std::string FrontierTable(const v1::Frontier& frontier);

// A row for each trial with its state, proposer and reward.
std::string TrialsTable(const std::vector<v1::Trial>& trials);

// "trial 7: accuracy 86.9 % (-0.1 points), 123 us (0.46x), 91.2 kB (0.29x)".
std::string DescribePoint(const v1::Trial& trial,
                          const v1::Measurement& baseline);

// A line for each near miss, with why.
std::string DescribeMisses(const v1::BestConfiguration& best);

}  // namespace lathe

#endif  // LATHE_CLIENT_CLI_TRIAL_TABLE_H_

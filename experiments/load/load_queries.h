// Latencies of a user's queries of one job.
#ifndef LATHE_EXPERIMENTS_LOAD_LOAD_QUERIES_H_
#define LATHE_EXPERIMENTS_LOAD_LOAD_QUERIES_H_

#include <grpcpp/channel.h>

#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>

#include "absl/status/statusor.h"

namespace lathe {

// Pages through all trials by 100, and asks `repeats` times each for the
// frontier, the best configuration and the job: {"trials", "pages",
// "frontier", "best", "job"}.
absl::StatusOr<nlohmann::json> MeasureQueries(
    const std::shared_ptr<grpc::Channel>& channel, const std::string& job,
    int repeats);

}  // namespace lathe

#endif  // LATHE_EXPERIMENTS_LOAD_LOAD_QUERIES_H_

// What `lathe search` leaves behind.
#ifndef LATHE_CLIENT_CLI_SEARCH_OUTPUTS_H_
#define LATHE_CLIENT_CLI_SEARCH_OUTPUTS_H_

#include <grpcpp/channel.h>

#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "client/cli/report.h"

namespace lathe {

// {"job", "trials", "baseline", "frontier", "hypervolume", "seconds", "best":
// POINT, "best_reason", "is_within_budget", "optimism"}.
nlohmann::json SearchResult(const ReportInput& input, double seconds);

// Writes frontier.json (SearchResult), report.html and best.onnx to the folder
// `out`, which exists.
absl::Status WriteSearchOutputs(const std::shared_ptr<grpc::Channel>& channel,
                                const ReportInput& input, double seconds,
                                const std::string& out);

// The frontier and the best of it, for people.
std::string DescribeSearch(const ReportInput& input, double seconds,
                           const std::string& out);

}  // namespace lathe

#endif  // LATHE_CLIENT_CLI_SEARCH_OUTPUTS_H_

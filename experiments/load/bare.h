// What the parts of the service cost by themselves: the yardsticks of its load.
#ifndef LATHE_EXPERIMENTS_LOAD_BARE_H_
#define LATHE_EXPERIMENTS_LOAD_BARE_H_

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace lathe {

// Serves the calls of LoadSession on `address` until its standard input ends:
// the same messages, with no lease, no agent and no database behind them.
absl::Status ServeBareEcho(const std::string& address);

// Rows of `row_bytes` bytes in transactions of `batch` rows into a database in
// `folder`, synced as the server's is: {"rows_per_second",
// "commits_per_second"}.
absl::StatusOr<nlohmann::json> MeasureBareCommits(const std::string& folder,
                                                  int batch, int row_bytes,
                                                  absl::Duration duration);

}  // namespace lathe

#endif  // LATHE_EXPERIMENTS_LOAD_BARE_H_

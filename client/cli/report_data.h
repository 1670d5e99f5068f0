// What the charts of a report draw.
#ifndef LATHE_CLIENT_CLI_REPORT_DATA_H_
#define LATHE_CLIENT_CLI_REPORT_DATA_H_

#include <nlohmann/json_fwd.hpp>

#include "client/cli/report.h"

namespace lathe {

// {"trials": [{"n", "x": latency ratio, "y": accuracy, "s": source}],
// "frontier": [numbers], "baseline": {"x", "y"}, "chosen": number, "splits":
// [{"n", "search", "report"}], "progress": [{"n", "hypervolume"}], "rewards":
// [{"n", "reward"}], "proposers": [{"source", "trials", "on_frontier"}],
// "components": {name: [one mean a proposer]}}. Accuracies in percent.
nlohmann::json ReportData(const ReportInput& input);

}  // namespace lathe

#endif  // LATHE_CLIENT_CLI_REPORT_DATA_H_

// A search on one self-contained HTML page.
#ifndef LATHE_CLIENT_CLI_REPORT_H_
#define LATHE_CLIENT_CLI_REPORT_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "client/cli/choice.h"
#include "client/search_client.h"
#include "proto/search.pb.h"
#include "proto/types.pb.h"

namespace lathe {

struct ReportInput {
  v1::Job job;
  v1::Frontier frontier;
  // All of the job's, by number.
  std::vector<v1::Trial> trials;
  Choice choice;
};

// Errors: those of the server; FailedPrecondition - nothing was measured.
absl::StatusOr<ReportInput> FetchReportInput(const SearchClient& client,
                                             const std::string& job_name);

// The page: charts of accuracy against latency, of search against report
// accuracy, of progress, and of the proposers; tables of the frontier, of the
// chosen configuration's layers and of the reasons for each (layer_reasons.h),
// of the hardware and of trials that failed.
//
// It loads nothing from anywhere. Every value is escaped: names of jobs and
// layers may hold anything. `chart_library` is the source of Chart.js; when it
// is empty the page has its tables only.
std::string RenderReport(const ReportInput& input,
                         absl::string_view chart_library);

// Chart.js as it was when this program was built; empty when it was not there.
absl::string_view ChartLibrary();

}  // namespace lathe

#endif  // LATHE_CLIENT_CLI_REPORT_H_

// The fixed parts of a report's page.
#ifndef LATHE_CLIENT_CLI_REPORT_PAGE_H_
#define LATHE_CLIENT_CLI_REPORT_PAGE_H_

namespace lathe {

// The style sheet.
extern const char kReportStyle[];

// Draws ReportData (element "report-data") with Chart.js into the canvases
// "chart-frontier", "chart-splits", "chart-progress", "chart-rewards",
// "chart-proposers" and "chart-components". Without Chart.js it hides them.
extern const char kReportScript[];

}  // namespace lathe

#endif  // LATHE_CLIENT_CLI_REPORT_PAGE_H_

#include "client/cli/trial_table.h"

#include <cstdint>
#include <map>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "client/cli/quantity.h"
#include "client/cli/report_figures.h"
#include "client/cli/text_table.h"
#include "proto/names.h"

namespace lathe {
namespace {

std::string SizeShare(const v1::Measurement& measurement,
                      const v1::Measurement& baseline) {
  if (baseline.size_bytes() <= 0) return "";
  return FormatRatio(static_cast<double>(measurement.size_bytes()) /
                     static_cast<double>(baseline.size_bytes()));
}

std::string ReportAccuracy(const v1::Measurement& measurement) {
  return measurement.report_samples() > 0
             ? FormatPercent(measurement.report_accuracy())
             : "";
}

std::vector<std::string> FrontierRow(const std::string& name,
                                     const v1::Trial& trial,
                                     const v1::Measurement& baseline) {
  const v1::Measurement& m = trial.measurement();
  return {name,
          FormatPercent(m.accuracy()),
          ReportAccuracy(m),
          FormatLatency(m.latency_us()),
          FormatRatio(m.latency_ratio()),
          FormatBytes(m.size_bytes()),
          SizeShare(m, baseline),
          FormatBytes(m.packed_bytes())};
}

}  // namespace

std::string FrontierTable(const v1::Frontier& frontier) {
  TextTable table({"TRIAL", "ACCURACY", "REPORT", "LATENCY", "RATIO", "SIZE",
                   "SHARE", "PACKED"});
  const v1::Measurement& baseline = frontier.baseline().measurement();
  table.AddRow(FrontierRow("original", frontier.baseline(), baseline));
  for (const v1::Trial& trial : frontier.trials()) {
    if (trial.number() == 0) continue;
    table.AddRow(FrontierRow(absl::StrCat(trial.number()), trial, baseline));
  }
  return table.Render();
}

std::string TrialsTable(const std::vector<v1::Trial>& trials) {
  TextTable table({"TRIAL", "<STATE", "ACCURACY", "LATENCY", "RATIO", "SIZE",
                   "REWARD", "GAIN", "THINKING", "<PROPOSER"});
  std::map<int64_t, double> gains;
  if (!trials.empty() && trials[0].has_measurement()) {
    gains = GainByTrial(trials, trials[0].measurement());
  }
  for (const v1::Trial& trial : trials) {
    const v1::Measurement& m = trial.measurement();
    const bool is_measured = trial.has_measurement();
    table.AddRow({absl::StrCat(trial.number()),
                  std::string(TrialStateName(trial.state())),
                  is_measured ? FormatPercent(m.accuracy()) : "",
                  is_measured ? FormatLatency(m.latency_us()) : "",
                  is_measured ? FormatRatio(m.latency_ratio()) : "",
                  is_measured ? FormatBytes(m.size_bytes()) : "",
                  trial.has_reward()
                      ? absl::StrFormat("%.4g", trial.reward().value())
                      : "",
                  gains.count(trial.number()) > 0
                      ? absl::StrFormat("%.4f", gains[trial.number()])
                      : "",
                  trial.proposal().thinking_seconds() > 0
                      ? FormatLatency(1e6 * trial.proposal().thinking_seconds())
                      : "",
                  is_measured || trial.state_reason().empty()
                      ? trial.proposal().source()
                      : absl::StrCat(trial.proposal().source(), ": ",
                                     trial.state_reason())});
  }
  return table.Render();
}

std::string DescribePoint(const v1::Trial& trial,
                          const v1::Measurement& baseline) {
  const v1::Measurement& m = trial.measurement();
  return absl::StrFormat(
      "trial %d: accuracy %s (%+.2f points), %s (%s), %s (%s)", trial.number(),
      FormatPercent(m.accuracy()), 100 * (m.accuracy() - baseline.accuracy()),
      FormatLatency(m.latency_us()), FormatRatio(m.latency_ratio()),
      FormatBytes(m.size_bytes()), SizeShare(m, baseline));
}

std::string DescribeMisses(const v1::BestConfiguration& best) {
  std::string text;
  for (const v1::NearMiss& miss : best.near_misses()) {
    absl::StrAppend(&text, "nearest miss: trial ", miss.trial().number(), ": ",
                    Printable(miss.why_not()), "\n");
  }
  return text;
}

}  // namespace lathe

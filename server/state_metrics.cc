#include "server/state_metrics.h"

#include <cstdint>
#include <filesystem>
#include <map>
#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/log.h"
#include "base/status.h"
#include "proto/names.h"
#include "server/steady.h"

namespace lathe {
namespace {

using prometheus::ClientMetric;
using prometheus::MetricFamily;

MetricFamily Gauge(const std::string& name, const std::string& help) {
  MetricFamily family;
  family.name = name;
  family.help = help;
  family.type = prometheus::MetricType::Gauge;
  return family;
}

void AddValue(MetricFamily& family, double value, const std::string& label = "",
              const std::string& label_value = "") {
  ClientMetric& metric = family.metric.emplace_back();
  metric.gauge.value = value;
  if (!label.empty()) metric.label.push_back({label, label_value});
}

MetricFamily ByState(const std::string& name, const std::string& help,
                     const std::map<std::string, int64_t>& counts) {
  MetricFamily family = Gauge(name, help);
  for (const auto& [state, count] : counts) {
    AddValue(family, static_cast<double>(count), "state", state);
  }
  return family;
}

MetricFamily Single(const std::string& name, const std::string& help,
                    double value) {
  MetricFamily family = Gauge(name, help);
  AddValue(family, value);
  return family;
}

// Of jobs that have not ended, and their trials.
struct JobCounts {
  std::map<std::string, int64_t> jobs;    // By state.
  std::map<std::string, int64_t> trials;  // By state.
  std::vector<std::string> names;         // Of jobs that have not ended.
};

void AddTrials(const v1::TrialCounts& counts,
               std::map<std::string, int64_t>& trials) {
  trials["PENDING"] += counts.pending();
  trials["LEASED"] += counts.leased();
  trials["MEASURED"] += counts.measured();
  trials["INFEASIBLE"] += counts.infeasible();
  trials["FAILED"] += counts.failed();
  trials["QUARANTINED"] += counts.quarantined();
}

absl::StatusOr<JobCounts> CountJobs(Store& store) {
  JobCounts counts;
  AddTrials({}, counts.trials);
  std::string page_token;
  do {
    LATHE_ASSIGN_OR_RETURN(const Page<v1::Job> page,
                           store.ListJobs(/*page_size=*/1000, page_token));
    for (const v1::Job& job : page.rows) {
      ++counts.jobs[std::string(JobStateName(job.state()))];
      AddTrials(job.counts(), counts.trials);
      if (!IsFinal(job.state())) counts.names.push_back(job.name());
    }
    page_token = page.next_page_token;
  } while (!page_token.empty());
  return counts;
}

double FileBytes(const std::string& path) {
  std::error_code error;
  const auto bytes = std::filesystem::file_size(path, error);
  return error ? 0 : static_cast<double>(bytes);
}

double FreeBytes(const std::string& folder) {
  std::error_code error;
  const auto space = std::filesystem::space(folder, error);
  return error ? 0 : static_cast<double>(space.available);
}

}  // namespace

std::vector<MetricFamily> StateMetrics::Collect() const {
  std::vector<MetricFamily> families;
  const absl::StatusOr<JobCounts> counts = CountJobs(*parts_.store);
  if (counts.ok()) {
    families.push_back(ByState("lathe_jobs", "Jobs by state", counts->jobs));
    families.push_back(
        ByState("lathe_trials", "Trials of all jobs by state", counts->trials));
    int thinking = 0;
    for (const std::string& job : counts->names) {
      thinking += parts_.loops->StatusOf(job).thinking_since.has_value();
    }
    families.push_back(Single("lathe_agents_thinking",
                              "Agents that think at the moment", thinking));
  } else {
    LATHE_LOG(kWarning) << "metrics: " << counts.status();
  }
  const std::map<std::string, int> leases = parts_.leases->CountBySession();
  int64_t active_leases = 0;
  for (const auto& [session, count] : leases) active_leases += count;
  families.push_back(Single("lathe_leases_active", "Leases that live",
                            static_cast<double>(active_leases)));
  std::map<std::string, int64_t> workers;
  for (const v1::WorkerInfo& worker :
       parts_.workers->List(leases, SteadyNow())) {
    ++workers[worker.state()];
  }
  families.push_back(ByState("lathe_workers", "Workers by state", workers));
  const std::string database = absl::StrCat(parts_.state_folder, "/lathe.db");
  families.push_back(Single("lathe_database_bytes", "Bytes of the database",
                            FileBytes(database)));
  families.push_back(Single("lathe_database_log_bytes",
                            "Bytes of the database's write-ahead log",
                            FileBytes(database + "-wal")));
  families.push_back(Single("lathe_disk_free_bytes",
                            "Bytes free where the state lies",
                            FreeBytes(parts_.state_folder)));
  return families;
}

}  // namespace lathe

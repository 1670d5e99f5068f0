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

std::map<std::string, int64_t> ByName(const v1::TrialCounts& counts) {
  return {
      {"PENDING", counts.pending()},   {"LEASED", counts.leased()},
      {"MEASURED", counts.measured()}, {"INFEASIBLE", counts.infeasible()},
      {"FAILED", counts.failed()},     {"QUARANTINED", counts.quarantined()}};
}

// What a quota limits: the metric of what callers use, and that of the limit.
struct QuotaMetric {
  const char* use_name;
  const char* limit_name;
  const char* what;
  int64_t CreatorUse::*use;
  int64_t Quotas::*limit;
};

constexpr QuotaMetric kQuotaMetrics[] = {
    {"lathe_caller_active_jobs", "lathe_quota_active_jobs",
     "Jobs that have not ended", &CreatorUse::active_jobs,
     &Quotas::most_active_jobs},
    {"lathe_caller_running_trials", "lathe_quota_running_trials",
     "Trials that run", &CreatorUse::running_trials,
     &Quotas::most_running_trials},
    {"lathe_caller_blob_bytes", "lathe_quota_blob_bytes",
     "Bytes of blobs brought", &CreatorUse::blob_bytes,
     &Quotas::most_blob_bytes}};

void AddQuotas(const std::map<std::string, CreatorUse>& use,
               const Quotas& quotas, std::vector<MetricFamily>& families) {
  for (const QuotaMetric& metric : kQuotaMetrics) {
    MetricFamily family =
        Gauge(metric.use_name, absl::StrCat(metric.what, ", by caller"));
    for (const auto& [caller, of_caller] : use) {
      AddValue(family, static_cast<double>(of_caller.*metric.use), "caller",
               caller);
    }
    families.push_back(std::move(family));
    // A limit of 0 is none, and a series of zeros would say the opposite.
    if (quotas.*metric.limit == 0) continue;
    families.push_back(Single(
        metric.limit_name, absl::StrCat(metric.what, ", at most of one caller"),
        static_cast<double>(quotas.*metric.limit)));
  }
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

absl::Status StateMetrics::AddJobs(std::vector<MetricFamily>& families) const {
  LATHE_ASSIGN_OR_RETURN(const JobTotals totals, parts_.store->CountJobs());
  std::map<std::string, int64_t> jobs;
  for (const auto& [state, count] : totals.jobs) {
    jobs[std::string(JobStateName(state))] = count;
  }
  families.push_back(ByState("lathe_jobs", "Jobs by state", jobs));
  families.push_back(ByState("lathe_trials", "Trials of all jobs by state",
                             ByName(totals.trials)));
  LATHE_ASSIGN_OR_RETURN(const std::vector<std::string> active,
                         parts_.store->ActiveJobs());
  int thinking = 0;
  for (const std::string& job : active) {
    thinking += parts_.loops->StatusOf(job).thinking_since.has_value();
  }
  families.push_back(Single("lathe_agents_thinking",
                            "Agents that think at the moment", thinking));
  LATHE_ASSIGN_OR_RETURN(const auto use, parts_.store->UseByCreator());
  AddQuotas(use, parts_.quotas, families);
  return absl::OkStatus();
}

std::vector<MetricFamily> StateMetrics::Collect() const {
  std::vector<MetricFamily> families;
  if (const absl::Status added = AddJobs(families); !added.ok()) {
    LATHE_LOG(kWarning) << "metrics: " << added;
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

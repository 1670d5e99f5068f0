#include "client/cli/job_json.h"

#include <string>

#include "absl/time/time.h"
#include "client/point_json.h"
#include "proto/names.h"

namespace lathe {
namespace {

std::string TimeText(const google::protobuf::Timestamp& time) {
  return absl::FormatTime(
      absl::RFC3339_full,
      absl::FromUnixSeconds(time.seconds()) + absl::Nanoseconds(time.nanos()),
      absl::UTCTimeZone());
}

nlohmann::json BudgetToJson(const v1::Budget& budget) {
  nlohmann::json object = nlohmann::json::object();
  if (budget.has_max_latency_us()) {
    object["max_latency_us"] = budget.max_latency_us();
  }
  if (budget.has_max_latency_ratio()) {
    object["max_latency_ratio"] = budget.max_latency_ratio();
  }
  if (budget.has_max_size_bytes()) {
    object["max_size_bytes"] = budget.max_size_bytes();
  }
  if (budget.has_max_size_ratio()) {
    object["max_size_ratio"] = budget.max_size_ratio();
  }
  if (budget.has_max_accuracy_drop()) {
    object["max_accuracy_drop"] = budget.max_accuracy_drop();
  }
  return object;
}

}  // namespace

nlohmann::json CountsToJson(const v1::TrialCounts& counts) {
  return {
      {"pending", counts.pending()},   {"leased", counts.leased()},
      {"measured", counts.measured()}, {"infeasible", counts.infeasible()},
      {"failed", counts.failed()},     {"quarantined", counts.quarantined()}};
}

nlohmann::json JobToJson(const v1::Job& job) {
  const v1::JobSpec& spec = job.spec();
  nlohmann::json object = {
      {"job", job.name()},
      {"name", spec.display_name()},
      {"state", std::string(JobStateName(job.state()))},
      {"counts", CountsToJson(job.counts())},
      {"agent", spec.agent()},
      {"creator", job.creator()},
      {"seed", spec.seed()},
      {"trials", spec.trials()},
      {"threads", spec.threads()},
      {"batch", spec.batch()},
      {"objectives", std::vector<std::string>(spec.objectives().begin(),
                                              spec.objectives().end())},
      {"budget", BudgetToJson(spec.budget())},
      {"model", spec.model_digest()}};
  if (!job.state_reason().empty()) object["reason"] = job.state_reason();
  if (job.has_create_time()) object["created"] = TimeText(job.create_time());
  if (job.has_end_time()) object["ended"] = TimeText(job.end_time());
  if (job.has_profile()) object["profile"] = ProfileToJson(job.profile());
  return object;
}

nlohmann::json EventToJson(const v1::Event& event) {
  nlohmann::json object = {{"sequence", event.sequence()},
                           {"time", TimeText(event.time())},
                           {"counts", CountsToJson(event.counts())}};
  if (event.has_job()) {
    object["job"] = {{"job", event.job().name()},
                     {"state", std::string(JobStateName(event.job().state()))},
                     {"reason", event.job().state_reason()}};
  }
  if (event.has_trial()) object["trial"] = TrialToJson(event.trial());
  return object;
}

nlohmann::json WorkerToJson(const v1::WorkerInfo& worker) {
  return {{"worker", worker.name()},
          {"state", worker.state()},
          {"host", worker.host()},
          {"pid", worker.pid()},
          {"cores", worker.cores()},
          {"memory_bytes", worker.memory_bytes()},
          {"completed_trials", worker.completed_trials()},
          {"silent_seconds", worker.silent_seconds()},
          {"placement", worker.placement()},
          {"profile", ProfileToJson(worker.profile())}};
}

}  // namespace lathe

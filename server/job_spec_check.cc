#include "server/job_spec_check.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/digest.h"
#include "proto/fidelity.h"
#include "server/errors.h"

namespace lathe {
namespace {

// Limits chosen so that no honest job meets them and no hostile one costs
// much.
constexpr int64_t kMostSensitivitySamples = 1'000'000;
constexpr int64_t kMostSettingsBytes = 16 * 1024;
constexpr int64_t kMostProfileBytes = 4096;
// Each lease carries the spec, and each page of a list has at least one.
constexpr int64_t kMostSpecBytes = 2 << 20;
constexpr int64_t kMostTrials = 1'000'000;
constexpr int kMostThreads = 256;
constexpr int kMostBatch = 4096;
constexpr int kMostWarmStartJobs = 16;
constexpr int kMostFirstPlans = 16;
constexpr size_t kMostNameBytes = 200;
constexpr int kMostChannels = 4096;
// A budget above ten times the baseline asks for nothing.
constexpr double kMostRatio = 10;

// `text` as it may stand in a message.
std::string Quoted(const std::string& text) {
  return absl::StrCat("\"", text.substr(0, 80), "\"");
}

bool IsFinite(double value) { return std::isfinite(value); }

void RequirePositive(FieldChecks& checks, const std::string& field,
                     double value) {
  checks.Require(IsFinite(value) && value > 0, field,
                 absl::StrCat(value, ", not a number above 0"));
}

void RequireRatio(FieldChecks& checks, const std::string& field, double value) {
  checks.Require(value > 0 && value <= kMostRatio, field,
                 absl::StrCat(value, ", not in (0, ", kMostRatio, "]"));
}

void RequireBytes(FieldChecks& checks, const char* field, size_t bytes,
                  int64_t most) {
  checks.Require(static_cast<int64_t>(bytes) <= most, field,
                 absl::StrCat(bytes, " bytes, more than ", most));
}

void RequireInRange(FieldChecks& checks, const char* field, int64_t value,
                    int64_t least, int64_t most) {
  checks.Require(value >= least && value <= most, field,
                 absl::StrCat(value, ", not in [", least, ", ", most, "]"));
}

struct BlobField {
  const char* field;
  const std::string* digest;
};

std::vector<BlobField> BlobFields(const v1::JobSpec& spec) {
  const v1::DatasetSpec& data = spec.dataset();
  return {{"spec.model_digest", &spec.model_digest()},
          {"spec.dataset.digest", &data.digest()},
          {"spec.dataset.calibration_digest", &data.calibration_digest()},
          {"spec.dataset.search_digest", &data.search_digest()},
          {"spec.dataset.confirmation_digest", &data.confirmation_digest()},
          {"spec.dataset.report_digest", &data.report_digest()}};
}

void CheckDigests(const v1::JobSpec& spec, FieldChecks& checks) {
  for (const BlobField& blob : BlobFields(spec)) {
    const bool is_required = blob.digest == &spec.model_digest() ||
                             blob.digest == &spec.dataset().digest();
    if (blob.digest->empty() && !is_required) continue;
    checks.Require(IsSha256Hex(*blob.digest), blob.field,
                   absl::StrCat(Quoted(*blob.digest),
                                ", not 64 lower-case hexadecimal digits"));
  }
}

void CheckDataset(const v1::DatasetSpec& data, FieldChecks& checks) {
  checks.Require(IsFinite(data.scale()), "spec.dataset.scale",
                 absl::StrCat(data.scale(), ", not finite"));
  checks.Require(
      data.mean_size() <= kMostChannels &&
          std::all_of(data.mean().begin(), data.mean().end(), IsFinite),
      "spec.dataset.mean",
      absl::StrCat("not at most ", kMostChannels, " finite numbers"));
  checks.Require(
      data.std_size() <= kMostChannels &&
          std::all_of(data.std().begin(), data.std().end(),
                      [](double v) { return IsFinite(v) && v > 0; }),
      "spec.dataset.std",
      absl::StrCat("not at most ", kMostChannels, " finite numbers above 0"));
  checks.Require(
      data.layout().empty() || data.layout() == "nchw" ||
          data.layout() == "nhwc",
      "spec.dataset.layout",
      absl::StrCat(Quoted(data.layout()), ", neither \"nchw\" nor \"nhwc\""));
  constexpr int64_t kMostSamples = int64_t{1} << 40;
  RequireInRange(checks, "spec.dataset.calibration_samples",
                 data.calibration_samples(), 0, kMostSamples);
  RequireInRange(checks, "spec.dataset.search_samples", data.search_samples(),
                 0, kMostSamples);
  RequireInRange(checks, "spec.dataset.confirmation_samples",
                 data.confirmation_samples(), 0, kMostSamples);
  RequireInRange(checks, "spec.dataset.report_samples", data.report_samples(),
                 0, kMostSamples);
}

void RequireBudget(const v1::Budget& budget, const std::string& prefix,
                   FieldChecks& checks) {
  if (budget.has_max_latency_us()) {
    RequirePositive(checks, prefix + "max_latency_us", budget.max_latency_us());
  }
  if (budget.has_max_latency_ratio()) {
    RequireRatio(checks, prefix + "max_latency_ratio",
                 budget.max_latency_ratio());
  }
  if (budget.has_max_size_bytes()) {
    RequirePositive(checks, prefix + "max_size_bytes", budget.max_size_bytes());
  }
  if (budget.has_max_size_ratio()) {
    RequireRatio(checks, prefix + "max_size_ratio", budget.max_size_ratio());
  }
  if (budget.has_max_accuracy_drop()) {
    const double drop = budget.max_accuracy_drop();
    checks.Require(drop >= 0 && drop <= 1, prefix + "max_accuracy_drop",
                   absl::StrCat(drop, ", not in [0, 1]"));
  }
}

void CheckFirstPlans(const v1::JobSpec& spec, FieldChecks& checks) {
  const int64_t most = std::min<int64_t>(
      kMostFirstPlans, std::max<int64_t>(0, spec.trials() - 1));
  checks.Require(
      spec.first_plans_size() <= most, "spec.first_plans",
      absl::StrCat(spec.first_plans_size(), " plans, more than ", most));
}

void CheckProfile(const v1::JobSpec& spec, FieldChecks& checks) {
  if (!spec.has_target_profile()) return;
  const v1::HardwareProfile& profile = spec.target_profile();
  RequireBytes(checks, "spec.target_profile", profile.ByteSizeLong(),
               kMostProfileBytes);
  checks.Require(!profile.cpu().empty() && !profile.isa().empty(),
                 "spec.target_profile",
                 "a profile without cpu or isa fits no worker");
  const int threads = std::max(spec.threads(), 1);
  checks.Require(profile.threads() == 0 || profile.threads() == threads,
                 "spec.target_profile.threads",
                 absl::StrCat(profile.threads(), ", not the job's ", threads));
}

void RequireObjectives(absl::Span<const std::string> objectives,
                       const char* field, FieldChecks& checks) {
  for (size_t i = 0; i < objectives.size() && checks.ok(); ++i) {
    const std::string& name = objectives[i];
    checks.Require(
        name == "latency" || name == "size", field,
        absl::StrCat(Quoted(name), ", neither \"latency\" nor \"size\""));
    checks.Require(std::find(objectives.begin(), objectives.begin() + i,
                             name) == objectives.begin() + i,
                   field, absl::StrCat(Quoted(name), " stands twice"));
  }
}

}  // namespace

std::vector<std::string> ObjectivesOf(const v1::JobSpec& spec) {
  return {spec.objectives().begin(), spec.objectives().end()};
}

absl::Status CheckJobSpec(const v1::JobSpec& spec,
                          absl::Span<const std::string> agents) {
  FieldChecks checks;
  checks.Require(spec.display_name().size() <= kMostNameBytes,
                 "spec.display_name",
                 absl::StrCat(spec.display_name().size(), " bytes, more than ",
                              kMostNameBytes));
  CheckDigests(spec, checks);
  CheckDataset(spec.dataset(), checks);
  checks.Require(
      std::find(agents.begin(), agents.end(), spec.agent()) != agents.end(),
      "spec.agent",
      absl::StrCat(Quoted(spec.agent()), ", not one of ",
                   absl::StrJoin(agents, ", ")));
  RequireInRange(checks, "spec.trials", spec.trials(), 1, kMostTrials);
  RequireInRange(checks, "spec.threads", spec.threads(), 0, kMostThreads);
  RequireInRange(checks, "spec.batch", spec.batch(), 0, kMostBatch);
  RequireInRange(checks, "spec.sensitivity_samples", spec.sensitivity_samples(),
                 0, kMostSensitivitySamples);
  checks.Require(spec.fidelity().empty() || spec.fidelity() == kFullFidelity ||
                     spec.fidelity() == kLadderFidelity,
                 "spec.fidelity",
                 absl::StrCat(Quoted(spec.fidelity()),
                              ", neither \"full\" nor \"ladder\""));
  // Its names are the worker's to judge.
  RequireBytes(checks, "spec.compression", spec.compression().ByteSizeLong(),
               kMostSettingsBytes);
  RequireBudget(spec.budget(), "spec.budget.", checks);
  CheckFirstPlans(spec, checks);
  RequireObjectives(ObjectivesOf(spec), "spec.objectives", checks);
  CheckProfile(spec, checks);
  checks.Require(spec.warm_start_jobs_size() <= kMostWarmStartJobs,
                 "spec.warm_start_jobs",
                 absl::StrCat(spec.warm_start_jobs_size(), " jobs, more than ",
                              kMostWarmStartJobs));
  RequireBytes(checks, "spec", spec.ByteSizeLong(), kMostSpecBytes);
  return checks.ToStatus();
}

absl::Status CheckJobBlobs(const v1::JobSpec& spec, const BlobStore& blobs) {
  for (const BlobField& blob : BlobFields(spec)) {
    if (blob.digest->empty() || blobs.Touch(*blob.digest)) continue;
    return MakeError(absl::StatusCode::kFailedPrecondition, "BLOB_MISSING",
                     absl::StrCat(blob.field, ": no blob ", *blob.digest,
                                  " is stored; upload it first"));
  }
  return absl::OkStatus();
}

v1::JobSpec WithDefaults(v1::JobSpec spec) {
  if (spec.threads() == 0) spec.set_threads(1);
  if (spec.batch() == 0) spec.set_batch(1);
  if (spec.objectives().empty()) spec.add_objectives("latency");
  return spec;
}

absl::Status CheckBudget(const v1::Budget& budget) {
  FieldChecks checks;
  RequireBudget(budget, "budget.", checks);
  return checks.ToStatus();
}

absl::Status CheckBounds(const v1::GetBestConfigurationRequest& bounds) {
  FieldChecks checks;
  if (bounds.has_max_latency_us()) {
    RequirePositive(checks, "max_latency_us", bounds.max_latency_us());
  }
  if (bounds.has_max_latency_ratio()) {
    RequirePositive(checks, "max_latency_ratio", bounds.max_latency_ratio());
  }
  if (bounds.has_max_size_bytes()) {
    RequirePositive(checks, "max_size_bytes", bounds.max_size_bytes());
  }
  if (bounds.has_max_size_ratio()) {
    RequirePositive(checks, "max_size_ratio", bounds.max_size_ratio());
  }
  if (bounds.has_min_accuracy()) {
    const double accuracy = bounds.min_accuracy();
    checks.Require(accuracy >= -1 && accuracy <= 1, "min_accuracy",
                   absl::StrCat(accuracy, ", not in [-1, 1]"));
  }
  return checks.ToStatus();
}

absl::Status CheckObjectives(absl::Span<const std::string> objectives) {
  FieldChecks checks;
  RequireObjectives(objectives, "objectives", checks);
  return checks.ToStatus();
}

}  // namespace lathe

#include "client/cli/job_flags.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <variant>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "client/cli/quantity.h"
#include "client/compression_flags.h"

namespace lathe {
namespace {

// More would be a slip of the keys; a million trials take weeks.
constexpr int64_t kMostTrials = 1'000'000;

absl::Status SetLatency(const std::string& text, v1::Budget& budget) {
  if (text.empty()) return absl::OkStatus();
  LATHE_ASSIGN_OR_RETURN(const LatencyBound bound, ParseLatencyBound(text));
  if (const auto* ratio = std::get_if<BaselineRatio>(&bound)) {
    budget.set_max_latency_ratio(ratio->value);
  } else {
    budget.set_max_latency_us(std::get<Microseconds>(bound).value);
  }
  return absl::OkStatus();
}

absl::Status SetSize(const std::string& text, v1::Budget& budget) {
  if (text.empty()) return absl::OkStatus();
  LATHE_ASSIGN_OR_RETURN(const SizeBound bound, ParseSizeBound(text));
  if (const auto* ratio = std::get_if<BaselineRatio>(&bound)) {
    budget.set_max_size_ratio(ratio->value);
  } else {
    budget.set_max_size_bytes(std::get<Bytes>(bound).value);
  }
  return absl::OkStatus();
}

absl::Status SetDrop(const std::string& text, v1::Budget& budget) {
  if (text.empty()) return absl::OkStatus();
  LATHE_ASSIGN_OR_RETURN(const double drop, ParseDrop(text));
  budget.set_max_accuracy_drop(drop);
  return absl::OkStatus();
}

// "latency" and "size" in this order, each once; accuracy is always one.
std::vector<std::string> Axes(const JobFlags& flags) {
  const auto is_given = [&flags](const char* name) {
    return std::find(flags.objectives.begin(), flags.objectives.end(), name) !=
           flags.objectives.end();
  };
  const bool has_choice = is_given("latency") || is_given("size");
  std::vector<std::string> axes;
  if (!has_choice || is_given("latency")) axes.push_back("latency");
  if (is_given("size") || (!has_choice && !flags.max_size.empty())) {
    axes.push_back("size");
  }
  return axes;
}

}  // namespace

void AddJobFlags(CLI::App& command, JobFlags& flags) {
  command.add_option("--model", flags.model_path, "ONNX file")->required();
  AddDataFlags(command, flags.data);
  const char* group = "Search";
  command.add_option("--trials", flags.trials, "in all, with the baseline")
      ->check(CLI::Range(int64_t{1}, kMostTrials))
      ->capture_default_str()
      ->group(group);
  command
      .add_option("--agent", flags.agent,
                  "rl, uniform, random, greedy, ilp, adaptive, ...")
      ->capture_default_str()
      ->group(group);
  command
      .add_option("--objective", flags.objectives,
                  "axes of the frontier: accuracy,latency,size")
      ->allow_extra_args(false)
      ->delimiter(',')
      ->check(CLI::IsMember({"accuracy", "latency", "size"}))
      ->group(group);
  command
      .add_option("--max-drop", flags.max_drop,
                  "budget: largest loss of accuracy, for instance 0.01")
      ->group(group);
  command
      .add_option("--max-latency", flags.max_latency,
                  "budget: 0.5ms, 300us, or 0.5x of the original's")
      ->group(group);
  command
      .add_option("--max-size", flags.max_size,
                  "budget: 100KB, 1.5MB, or 0.3x of the original's")
      ->group(group);
  command.add_option("--threads", flags.threads, "of one inference call")
      ->check(CLI::Range(1, 256))
      ->capture_default_str()
      ->group(group);
  command.add_option("--batch", flags.batch, "samples of one inference call")
      ->check(CLI::Range(1, 4096))
      ->capture_default_str()
      ->group(group);
  command
      .add_option("--warm-start", flags.warm_start_jobs,
                  "begin with the frontiers of these earlier jobs")
      ->delimiter(',')
      ->type_name("JOB");
  command.add_option("--seed", flags.seed, "of the agent")
      ->capture_default_str()
      ->group(group);
  command.add_option("--name", flags.display_name, "the job's, for people")
      ->group(group);
  command
      .add_option_function<int64_t>(
          "--sensitivity-samples",
          [&flags](int64_t samples) { flags.sensitivity_samples = samples; },
          "samples on which trial 0 measures what each choice costs by itself; "
          "0: it does not. Not given: from 100 trials on, 128 samples in at "
          "most 5 % of the evaluations' time")
      ->check(CLI::Range(int64_t{0}, kMostTrials))
      ->group(group);
  command
      .add_option("--fidelity", flags.fidelity,
                  "full: every trial is measured whole; ladder: trials end on "
                  "a first look at few samples, and the last ones measure "
                  "whole what that found (from 16 trials on)")
      ->check(CLI::IsMember({"full", "ladder"}))
      ->capture_default_str()
      ->group(group);
  AddCompressionFlags(command, flags.compression);
}

absl::StatusOr<v1::JobSpec> MakeSpec(const JobFlags& flags) {
  v1::JobSpec spec;
  spec.set_display_name(flags.display_name);
  spec.set_agent(flags.agent);
  for (const std::string& job : flags.warm_start_jobs) {
    spec.add_warm_start_jobs(
        absl::StartsWith(job, "jobs/") ? job : absl::StrCat("jobs/", job));
  }
  spec.set_seed(flags.seed);
  spec.set_trials(flags.trials);
  spec.set_threads(flags.threads);
  spec.set_batch(flags.batch);
  for (const std::string& axis : Axes(flags)) spec.add_objectives(axis);
  v1::Budget budget;
  LATHE_RETURN_IF_ERROR(
      Annotate(SetLatency(flags.max_latency, budget), "--max-latency"));
  LATHE_RETURN_IF_ERROR(
      Annotate(SetSize(flags.max_size, budget), "--max-size"));
  LATHE_RETURN_IF_ERROR(
      Annotate(SetDrop(flags.max_drop, budget), "--max-drop"));
  if (budget.ByteSizeLong() > 0) *spec.mutable_budget() = budget;
  if (flags.sensitivity_samples) {
    spec.set_sensitivity_samples(*flags.sensitivity_samples);
  }
  if (flags.fidelity != "full") spec.set_fidelity(flags.fidelity);
  if (flags.compression.ByteSizeLong() > 0) {
    *spec.mutable_compression() = flags.compression;
  }
  return spec;
}

}  // namespace lathe

#include "server/job_explanation.h"

#include <map>
#include <set>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/status.h"
#include "proto/names.h"
#include "server/job_requests.h"

namespace lathe {
namespace {

std::string MachineName(const v1::HardwareProfile& profile) {
  return absl::StrCat(profile.cpu(), ", ", profile.isa(), ", oneDNN ",
                      profile.onednn());
}

// The hardware that the job measures on; unset: its first worker's.
std::optional<v1::HardwareProfile> WantedProfile(const v1::Job& job) {
  if (job.has_profile()) return job.profile();
  if (job.spec().has_target_profile()) return job.spec().target_profile();
  return std::nullopt;
}

int64_t CountDone(const v1::TrialCounts& counts) {
  return counts.measured() + counts.infeasible() + counts.failed() +
         counts.quarantined();
}

// Collects causes. Used within one call.
class Explainer {
 public:
  explicit Explainer(const JobCircumstances& circumstances)
      : now_(circumstances), job_(circumstances.job) {}

  v1::JobExplanation Explain() {
    const bool is_stopped = IsFinal(job_.state()) || job_.state() == v1::PAUSED;
    if (is_stopped) {
      AddStop();
      return std::move(explanation_);
    }
    if (!now_.loop.error.empty()) {
      Add("SEARCH_ERROR",
          absl::StrCat("the search is tried again every second after: ",
                       now_.loop.error));
    }
    AddWorkers();
    AddTrials();
    const bool is_thinking = now_.loop.thinking_since.has_value();
    explanation_.set_is_advancing(job_.counts().leased() > 0 || is_thinking);
    return std::move(explanation_);
  }

 private:
  void Add(absl::string_view code, std::string text) {
    v1::JobExplanation::Cause& cause = *explanation_.add_causes();
    cause.set_code(std::string(code));
    cause.set_text(std::move(text));
  }

  void AddStop() {
    if (job_.state() == v1::PAUSED) {
      Add("PAUSED", absl::StrCat("the job is paused, ", job_.counts().leased(),
                                 " trials still run; `lathe resume ",
                                 job_.name(), "` goes on with it"));
      return;
    }
    Add("ENDED", absl::StrCat("the job is ", JobStateName(job_.state()),
                              job_.state_reason().empty() ? "" : ": ",
                              job_.state_reason()));
  }

  bool IsMatching(const v1::WorkerInfo& worker) const {
    const std::optional<v1::HardwareProfile> wanted = WantedProfile(job_);
    return !wanted.has_value() ||
           MachineName(*wanted) == MachineName(worker.profile());
  }

  void AddWorkers() {
    if (now_.workers.empty()) {
      Add("NO_WORKERS",
          "no worker has registered; start `lathe-worker --server ...` or "
          "`lathe pool up`");
      return;
    }
    std::map<std::string, int> matching;  // By state.
    std::set<std::string> other_machines;
    for (const v1::WorkerInfo& worker : now_.workers) {
      if (IsMatching(worker)) {
        ++matching[worker.state()];
      } else if (worker.state() != "lost") {
        other_machines.insert(MachineName(worker.profile()));
      }
    }
    usable_ = matching["idle"] + matching["busy"];
    if (usable_ > 0) return;
    const bool has_live =
        matching["cordoned"] + matching["draining"] + matching["ending"] > 0;
    if (!has_live && !other_machines.empty()) {
      Add("NO_MATCHING_PROFILE",
          absl::StrCat(
              "the job is measured on ", MachineName(*WantedProfile(job_)),
              "; the workers are on ", absl::StrJoin(other_machines, "; ")));
    }
    AddUnusable(matching);
  }

  void AddUnusable(std::map<std::string, int>& matching) {
    const struct {
      const char* state;
      const char* code;
      const char* text;
    } kUnusable[] = {
        {"lost", "WORKERS_LOST",
         "workers were not heard of lately: look at their logs and the "
         "network"},
        {"cordoned", "WORKERS_CORDONED",
         "workers are cordoned, by hand or because trials that they failed "
         "passed elsewhere: `lathe workers` names them, `lathe uncordon "
         "WORKER` "
         "lets one in again whose machine is sound"},
        {"draining", "WORKERS_DRAINING",
         "workers drain and take nothing more: start new ones"},
        {"ending", "WORKERS_END_SOON",
         "workers have less time left than an evaluation takes: start new "
         "ones, with a longer time limit"}};
    for (const auto& unusable : kUnusable) {
      const int count = matching[unusable.state];
      if (count > 0) {
        Add(unusable.code, absl::StrCat(count, " ", unusable.text));
      }
    }
  }

  void AddTrials() {
    const v1::TrialCounts& counts = job_.counts();
    if (!job_.has_baseline()) AddBaseline();
    const bool is_waiting = counts.pending() > 0 && counts.leased() == 0;
    if (counts.pending() > 0) AddQuota();
    if (is_waiting && usable_ > 0 && !now_.job_ahead.empty()) {
      Add("BEHIND_JOB",
          absl::StrCat("the workers take the trials of ", now_.job_ahead,
                       ", which is older, first"));
    }
    if (now_.loop.thinking_since.has_value()) {
      Add("AGENT_THINKS",
          absl::StrCat(
              "the agent has been at work for ",
              absl::ToInt64Seconds(now_.now - *now_.loop.thinking_since),
              " s"));
    }
    if (counts.leased() > 0) {
      Add("ADVANCES", absl::StrCat(counts.leased(), " trials run", Stages(),
                                   ", ", CountDone(counts), " of ",
                                   job_.spec().trials(), " are done"));
    }
    if (explanation_.causes().empty()) {
      Add("WAITS_FOR_LEASE",
          absl::StrCat(counts.pending(), " trials are pending; the next of ",
                       usable_, " workers that asks takes one"));
    }
  }

  void AddQuota() {
    if (now_.most_running_trials == 0 ||
        now_.creators_running < now_.most_running_trials) {
      return;
    }
    Add("QUOTA",
        absl::StrCat("quota: ", now_.creators_running, " trials of ",
                     job_.creator().empty() ? "all jobs" : job_.creator(),
                     " run, as many as one caller's may at once "
                     "(--most-running-per-user); the next starts when one "
                     "ends"));
  }

  // " (2 evaluating, 1 fetching)"; empty while no worker has told.
  std::string Stages() const {
    std::vector<std::string> stages;
    for (const auto& [stage, count] : now_.stages) {
      if (!stage.empty()) stages.push_back(absl::StrCat(count, " ", stage));
    }
    return stages.empty()
               ? ""
               : absl::StrCat(" (", absl::StrJoin(stages, ", "), ")");
  }

  void AddBaseline() {
    if (!now_.baseline.has_value()) return;
    const v1::Trial& baseline = *now_.baseline;
    if (baseline.state() == v1::TRIAL_LEASED) {
      Add("BASELINE_RUNS",
          "trial 0, the uncompressed model, runs; all others come after it");
    }
    if (!baseline.state_reason().empty()) {
      Add("TRIALS_FAIL",
          absl::StrCat(
              "trial 0 was leased ", baseline.attempts(),
              " times; it last ended with: ", baseline.state_reason()));
    }
  }

  const JobCircumstances& now_;
  const v1::Job& job_;
  int usable_ = 0;  // Workers that may get the job's trials.
  v1::JobExplanation explanation_;
};

}  // namespace

v1::JobExplanation ExplainCircumstances(const JobCircumstances& circumstances) {
  return Explainer(circumstances).Explain();
}

absl::StatusOr<JobCircumstances> ReadCircumstances(absl::string_view job,
                                                   Store& store) {
  JobCircumstances circumstances;
  LATHE_ASSIGN_OR_RETURN(circumstances.job, FindJob(store, job));
  absl::StatusOr<v1::Trial> baseline =
      store.GetTrial(absl::StrCat(job, "/trials/0"));
  if (baseline.ok()) {
    circumstances.baseline = *std::move(baseline);
  } else if (!absl::IsNotFound(baseline.status())) {
    return baseline.status();
  }
  LATHE_ASSIGN_OR_RETURN(const auto use, store.UseByCreator());
  const auto creators_use = use.find(circumstances.job.creator());
  if (creators_use != use.end()) {
    circumstances.creators_running = creators_use->second.running_trials;
  }
  LATHE_ASSIGN_OR_RETURN(const std::optional<std::string> ahead,
                         store.JobAhead(job));
  circumstances.job_ahead = ahead.value_or("");
  return circumstances;
}

}  // namespace lathe

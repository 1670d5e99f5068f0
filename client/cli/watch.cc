// `lathe watch` and `lathe events`.
#include <CLI/CLI.hpp>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/clock.h"
#include "base/status.h"
#include "client/cli/command.h"
#include "client/cli/exit_code.h"
#include "client/cli/job_json.h"
#include "client/cli/search_progress.h"
#include "client/cli/text_table.h"
#include "client/job_watcher.h"
#include "client/search_client.h"
#include "proto/names.h"

namespace lathe {
namespace {

// OK for DONE and CANCELLED; the reason, with kExitFailed, for FAILED.
absl::Status EndStatus(const v1::Job& job) {
  if (job.state() != v1::JOB_FAILED) return absl::OkStatus();
  return WithExitCode(absl::AbortedError(absl::StrCat(
                          job.name(), " failed: ", job.state_reason())),
                      kExitFailed);
}

absl::Status Watch(const Cli& cli, const std::string& name) {
  LATHE_ASSIGN_OR_RETURN(const auto channel, cli.Connect());
  const SearchClient client(channel);
  LATHE_ASSIGN_OR_RETURN(const v1::Job job, client.GetJob(JobName(name)));
  SearchProgress progress(job, absl::Now());
  ProgressDisplay display;
  JobWatcher watcher(channel, job.name(), /*after_sequence=*/0);
  while (true) {
    const absl::StatusOr<v1::Event> event = watcher.Next();
    if (absl::IsOutOfRange(event.status())) break;
    LATHE_RETURN_IF_ERROR(event.status());
    progress.Add(*event);
    if (cli.is_json()) {
      PrintJson(EventToJson(*event));
    } else {
      display.Show(progress, absl::Now());
    }
  }
  display.Finish();
  LATHE_ASSIGN_OR_RETURN(const v1::Job ended, client.GetJob(job.name()));
  if (!cli.is_json()) {
    PrintText(
        absl::StrCat(ended.name(), " ", JobStateName(ended.state()), "\n"));
  }
  return EndStatus(ended);
}

struct EventsFlags {
  std::string job;
  int64_t after = 0;
  bool is_following = false;
};

void PrintEvent(const Cli& cli, const v1::Event& event) {
  const nlohmann::json object = EventToJson(event);
  if (cli.is_json()) {
    PrintJson(object);
    return;
  }
  const std::string time = object["time"].get<std::string>();
  const std::string what =
      event.has_trial()
          ? absl::StrCat("trial ", event.trial().number(), " ",
                         TrialStateName(event.trial().state()), " ",
                         event.trial().state_reason())
          : absl::StrCat("job ", JobStateName(event.job().state()), " ",
                         event.job().state_reason());
  PrintText(
      absl::StrCat(event.sequence(), "  ", time, "  ", Printable(what), "\n"));
}

// Ends a watcher that has been quiet for a while: the events of the past come
// at once, so that silence means that there are no more of them.
class QuietTimer {
 public:
  QuietTimer(JobWatcher& watcher, absl::Duration patience)
      : thread_([this, &watcher, patience] { Run(watcher, patience); }) {}
  ~QuietTimer() {
    {
      absl::MutexLock lock(&mu_);
      is_stopped_ = true;
    }
    thread_.join();
  }
  void Tick() {
    absl::MutexLock lock(&mu_);
    has_ticked_ = true;
  }

 private:
  void Run(JobWatcher& watcher, absl::Duration patience) {
    absl::MutexLock lock(&mu_);
    while (!is_stopped_) {
      has_ticked_ = false;
      const auto is_over = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
        return is_stopped_;
      };
      mu_.AwaitWithTimeout(absl::Condition(&is_over), patience);
      if (!has_ticked_ && !is_stopped_) watcher.Cancel();
    }
  }

  absl::Mutex mu_;
  bool has_ticked_ ABSL_GUARDED_BY(mu_) = false;
  bool is_stopped_ ABSL_GUARDED_BY(mu_) = false;
  std::thread thread_;  // Last: it uses the others.
};

absl::Status Events(const Cli& cli, const EventsFlags& flags) {
  LATHE_ASSIGN_OR_RETURN(const auto channel, cli.Connect());
  const std::string name = JobName(flags.job);
  LATHE_RETURN_IF_ERROR(SearchClient(channel).GetJob(name).status());
  JobWatcher watcher(channel, name, flags.after);
  QuietTimer timer(watcher, flags.is_following ? absl::InfiniteDuration()
                                               : absl::Seconds(1));
  while (true) {
    const absl::StatusOr<v1::Event> event = watcher.Next();
    if (absl::IsOutOfRange(event.status()) ||
        absl::IsCancelled(event.status())) {
      return absl::OkStatus();
    }
    LATHE_RETURN_IF_ERROR(event.status());
    timer.Tick();
    PrintEvent(cli, *event);
  }
}

}  // namespace

void AddWatchCommands(CLI::App& app, Cli& cli) {
  AddNamedCommand(app, cli, "watch", "Follow a job to its end", &Watch);
  const auto flags = std::make_shared<EventsFlags>();
  CLI::App* events = app.add_subcommand("events", "What happened to a job");
  events->add_option("JOB", flags->job, "jobs/N or N")->required();
  events->add_option("--after", flags->after, "number of the last event known")
      ->check(CLI::NonNegativeNumber);
  events->add_flag("--follow", flags->is_following, "until the job ends");
  events->callback([&cli, flags] {
    cli.action = [&cli, flags] { return Events(cli, *flags); };
  });
}

}  // namespace lathe

// `lathe search`: a private server, workers, a job, its results.
#include <google/protobuf/util/message_differencer.h>
#include <signal.h>
#include <stdlib.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/file.h"
#include "base/status.h"
#include "client/channel.h"
#include "client/cli/bound_flags.h"
#include "client/cli/command.h"
#include "client/cli/event_feed.h"
#include "client/cli/exit_code.h"
#include "client/cli/job_inputs.h"
#include "client/cli/local_fleet.h"
#include "client/cli/search_outputs.h"
#include "client/cli/search_progress.h"
#include "client/evaluation_flags.h"
#include "client/search_client.h"
#include "proto/names.h"

namespace lathe {
namespace {

// A private server has one job: its request has one name, so that a search
// which is taken up again finds it.
constexpr char kRequestId[] = "lathe-search";

constexpr absl::Duration kSuperviseInterval = absl::Milliseconds(200);

struct SearchFlags {
  JobFlags job;
  int workers = 0;
  EvaluationLimits evaluation;
  std::string state;
  std::string out = "lathe-out";
};

volatile sig_atomic_t interrupt_signal = 0;

// The first signal asks for a clean end; a second one has its default effect.
void CatchInterrupts() {
  struct sigaction action = {};
  action.sa_handler = [](int number) { interrupt_signal = number; };
  action.sa_flags = SA_RESETHAND;
  for (const int number : {SIGINT, SIGTERM, SIGHUP}) {
    sigaction(number, &action, nullptr);
  }
}

// The state folder: the one named, or a new one of this run's own.
class StateFolder {
 public:
  static absl::StatusOr<StateFolder> Open(const std::string& named) {
    if (!named.empty()) {
      LATHE_RETURN_IF_ERROR(MakeFolders(named));
      return StateFolder(named, /*is_temporary=*/false);
    }
    std::error_code error;
    const std::filesystem::path parent =
        std::filesystem::temp_directory_path(error);
    if (error) return absl::NotFoundError("no folder for temporary files");
    std::string path = (parent / "lathe-search-XXXXXX").string();
    if (mkdtemp(path.data()) == nullptr) {
      return ErrnoToStatus(errno, absl::StrCat("make ", path));
    }
    return StateFolder(path, /*is_temporary=*/true);
  }

  const std::string& path() const { return path_; }

  // After a search that has ended well: a folder of this run's own goes.
  void RemoveIfTemporary() const {
    std::error_code ignored;
    if (is_temporary_) std::filesystem::remove_all(path_, ignored);
  }

 private:
  StateFolder(std::string path, bool is_temporary)
      : path_(std::move(path)), is_temporary_(is_temporary) {}

  std::string path_;
  bool is_temporary_;
};

// That the state holds the job of another spec, and how it differs.
absl::Status OtherSpecError(const SearchClient& client, const v1::JobSpec& spec,
                            const std::string& state) {
  std::string differences;
  const absl::StatusOr<std::vector<v1::Job>> jobs = client.ListJobs();
  if (jobs.ok() && !jobs->empty()) {
    google::protobuf::util::MessageDifferencer differencer;
    differencer.ReportDifferencesToString(&differences);
    differencer.Compare(jobs->back().spec(), spec);
  }
  return absl::InvalidArgumentError(absl::StrCat(
      "--state ", state, " holds a search with other settings; repeat it with ",
      "the same ones or name another folder\n", differences));
}

absl::StatusOr<v1::Job> CreateOrFindJob(
    const std::shared_ptr<grpc::Channel>& channel, const JobInputs& inputs,
    const std::string& state) {
  const SearchClient client(channel);
  LATHE_RETURN_IF_ERROR(UploadInputs(channel, inputs));
  absl::StatusOr<v1::Job> job = client.CreateJob(inputs.spec, kRequestId);
  if (absl::IsAlreadyExists(job.status())) {
    return OtherSpecError(client, inputs.spec, state);
  }
  LATHE_RETURN_IF_ERROR(job.status());
  // The answer to a repeated request is the job as it is now.
  LATHE_ASSIGN_OR_RETURN(v1::Job current, client.GetJob(job->name()));
  if (current.state() == v1::PAUSED) return client.ResumeJob(current.name());
  return current;
}

absl::Status Interrupted(const SearchProgress& progress,
                         const std::string& state) {
  return WithExitCode(
      absl::CancelledError(absl::StrCat(
          "interrupted after ", progress.done(), " of ", progress.total(),
          " trials; the same command with --state ", state, " goes on")),
      kExitInterrupted);
}

// Follows the job to its end, keeping the fleet alive.
absl::Status RunToEnd(LocalFleet& fleet,
                      const std::shared_ptr<grpc::Channel>& channel,
                      const v1::Job& job, const std::string& state) {
  SearchProgress progress(job, absl::Now());
  ProgressDisplay display;
  EventFeed feed(channel, job.name());
  while (!feed.is_done()) {
    for (const v1::Event& event : feed.Take(kSuperviseInterval)) {
      progress.Add(event);
    }
    display.Show(progress, absl::Now());
    if (interrupt_signal != 0) return Interrupted(progress, state);
    LATHE_RETURN_IF_ERROR(fleet.Supervise(progress.done(), absl::Now()));
  }
  return absl::IsOutOfRange(feed.end()) ? absl::OkStatus() : feed.end();
}

// An agent refuses a budget that is out of reach once it has seen the baseline:
// the job fails although no trial did, and nothing measured meets the budget.
bool IsBudgetOutOfReach(const SearchClient& client, const v1::Job& job) {
  if (!job.spec().has_budget() || !job.has_baseline() ||
      job.counts().failed() + job.counts().quarantined() > 0) {
    return false;
  }
  const absl::StatusOr<v1::BestConfiguration> best =
      client.GetBestConfiguration(
          RequestOfBudget(job.name(), job.spec().budget()));
  return best.ok() && !best->has_trial();
}

absl::Status CheckEnd(const SearchClient& client, const v1::Job& job) {
  if (job.state() == v1::DONE) return absl::OkStatus();
  const int exit_code =
      job.state() == v1::JOB_FAILED && IsBudgetOutOfReach(client, job)
          ? kExitNoConfiguration
          : kExitFailed;
  return WithExitCode(absl::AbortedError(absl::StrCat(
                          "the search ended ", JobStateName(job.state()), ": ",
                          job.state_reason())),
                      exit_code);
}

absl::Status Finish(const Cli& cli,
                    const std::shared_ptr<grpc::Channel>& channel,
                    const std::string& job_name, absl::Time start,
                    const std::string& out) {
  const SearchClient client(channel);
  LATHE_ASSIGN_OR_RETURN(const v1::Job job, client.GetJob(job_name));
  LATHE_RETURN_IF_ERROR(CheckEnd(client, job));
  LATHE_ASSIGN_OR_RETURN(const ReportInput input,
                         FetchReportInput(client, job_name));
  const double seconds = absl::ToDoubleSeconds(absl::Now() - start);
  LATHE_RETURN_IF_ERROR(WriteSearchOutputs(channel, input, seconds, out));
  const std::string text = DescribeSearch(input, seconds, out);
  if (cli.is_json()) {
    std::fputs(text.c_str(), stderr);
    PrintJson(SearchResult(input, seconds));
  } else {
    PrintText(text);
  }
  return input.choice.is_within_budget
             ? absl::OkStatus()
             : NothingMeetsBounds(input.choice.misses);
}

FleetOptions MakeFleetOptions(const SearchFlags& flags,
                              const std::string& state) {
  FleetOptions options;
  options.state = state;
  options.threads = flags.job.threads;
  options.evaluation = flags.evaluation;
  const int cpus = static_cast<int>(AllowedCpus().size());
  options.workers =
      flags.workers > 0 ? flags.workers : DefaultWorkers(cpus, options.threads);
  if (options.workers * options.threads > cpus) {
    std::fprintf(stderr,
                 "warning: %d worker(s) of %d thread(s) share %d core(s); "
                 "latencies will be noisy\n",
                 options.workers, options.threads, cpus);
  }
  return options;
}

// The connection is gone when it returns: a server that ends waits for it.
absl::Status SearchOn(LocalFleet& fleet, const Cli& cli,
                      const SearchFlags& flags, const JobInputs& inputs,
                      const std::string& state) {
  const absl::Time start = absl::Now();
  const auto channel = MakeChannel(fleet.address());
  LATHE_ASSIGN_OR_RETURN(const v1::Job job,
                         CreateOrFindJob(channel, inputs, state));
  LATHE_RETURN_IF_ERROR(fleet.StartWorkers());
  LATHE_RETURN_IF_ERROR(RunToEnd(fleet, channel, job, state));
  return Finish(cli, channel, job.name(), start, flags.out);
}

absl::Status SearchIn(const Cli& cli, const SearchFlags& flags,
                      const JobInputs& inputs, const std::string& state) {
  LATHE_ASSIGN_OR_RETURN(const std::unique_ptr<LocalFleet> fleet,
                         LocalFleet::Start(MakeFleetOptions(flags, state)));
  absl::Status status = SearchOn(*fleet, cli, flags, inputs, state);
  fleet->Stop();
  return status;
}

absl::Status Search(const Cli& cli, const SearchFlags& flags) {
  LATHE_ASSIGN_OR_RETURN(const JobInputs inputs, ReadJobInputs(flags.job));
  LATHE_RETURN_IF_ERROR(Annotate(MakeFolders(flags.out), "--out"));
  LATHE_ASSIGN_OR_RETURN(const StateFolder state,
                         StateFolder::Open(flags.state));
  CatchInterrupts();
  absl::Status status = SearchIn(cli, flags, inputs, state.path());
  const int exit_code = ExitCode(status);
  if (exit_code == kExitDone || exit_code == kExitNoConfiguration) {
    state.RemoveIfTemporary();
  } else {
    std::fprintf(stderr, "logs: %s/logs\n", state.path().c_str());
  }
  return status;
}

}  // namespace

void AddSearch(CLI::App& app, Cli& cli) {
  const auto flags = std::make_shared<SearchFlags>();
  CLI::App* command = app.add_subcommand(
      "search", "Search on this machine, with a server and workers of its own");
  AddJobFlags(*command, flags->job);
  const char* group = "This machine";
  command
      ->add_option("--workers", flags->workers,
                   "default: one for each set of free cores")
      ->check(CLI::Range(1, 1024))
      ->group(group);
  command
      ->add_option("--state", flags->state,
                   "folder that keeps the search; named again, it goes on")
      ->group(group);
  command->add_option("--out", flags->out, "folder of the results")
      ->capture_default_str()
      ->group(group);
  AddEvaluationFlags(*command, flags->evaluation);
  command->callback([&cli, flags] {
    cli.action = [&cli, flags] { return Search(cli, *flags); };
  });
}

}  // namespace lathe

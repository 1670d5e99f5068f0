#include "client/cli/local_fleet.h"

#include <sched.h>

#include <algorithm>
#include <cstdio>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "absl/time/clock.h"
#include "base/file.h"
#include "base/status.h"

namespace lathe {
namespace {

constexpr char kListening[] = "listening on ";

// The server loads its libraries and replays its database.
constexpr absl::Duration kStartPatience = absl::Seconds(60);
// A worker ends its trial's step, gives the trial back, and leaves.
constexpr absl::Duration kStopPatience = absl::Seconds(10);

// A child that ends this often without a trial done in between will not do
// better the next time.
constexpr int kMostRestarts = 5;
constexpr absl::Duration kFirstRestartWait = absl::Milliseconds(200);

constexpr int kLogLinesShown = 5;

std::string LastLines(const std::string& path) {
  const absl::StatusOr<std::string> text = ReadFile(path);
  if (!text.ok()) return "";
  std::vector<std::string> lines =
      absl::StrSplit(*text, '\n', absl::SkipEmpty());
  const size_t shown = std::min<size_t>(lines.size(), kLogLinesShown);
  return absl::StrJoin(lines.end() - shown, lines.end(), "\n  ");
}

}  // namespace

std::vector<int> AllowedCpus() {
  cpu_set_t set;
  CPU_ZERO(&set);
  std::vector<int> cpus;
  if (sched_getaffinity(0, sizeof(set), &set) == 0) {
    for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
      if (CPU_ISSET(cpu, &set)) cpus.push_back(cpu);
    }
  }
  if (cpus.empty()) cpus.push_back(0);
  return cpus;
}

int DefaultWorkers(int cpus, int threads) {
  return std::max(1, (cpus - 1) / std::max(1, threads));
}

absl::StatusOr<std::unique_ptr<LocalFleet>> LocalFleet::Start(
    const FleetOptions& options) {
  LATHE_RETURN_IF_ERROR(MakeFolders(options.state + "/logs"));
  auto fleet = std::unique_ptr<LocalFleet>(new LocalFleet(options));
  fleet->server_.name = "lathe-server";
  LATHE_RETURN_IF_ERROR(fleet->StartServer("127.0.0.1:0"));
  return fleet;
}

std::string LocalFleet::LogPath(const Member& member) const {
  return absl::StrCat(options_.state, "/logs/", member.name, ".log");
}

std::string LocalFleet::DescribeEnd(const Member& member,
                                    const std::string& how) const {
  return absl::StrCat(member.name, " ended (", how, "); the end of ",
                      LogPath(member), ":\n  ", LastLines(LogPath(member)));
}

absl::Status LocalFleet::StartServer(const std::string& listen_address) {
  LATHE_ASSIGN_OR_RETURN(const std::string program,
                         FindSibling("lathe-server"));
  server_.arguments = {program,    "--state",      options_.state,
                       "--listen", listen_address, "--exit-with-parent"};
  LATHE_RETURN_IF_ERROR(StartMember(server_));
  const absl::Time deadline = absl::Now() + kStartPatience;
  while (true) {
    const absl::StatusOr<std::string> line =
        server_.process->ReadLine(deadline);
    if (!line.ok()) {
      server_.process->AwaitEnd(absl::Now() + absl::Seconds(1));
      return absl::UnavailableError(
          DescribeEnd(server_, server_.process->Ended().value_or("no answer")));
    }
    absl::string_view address = *line;
    if (absl::ConsumePrefix(&address, kListening)) {
      address_ = std::string(address);
      return absl::OkStatus();
    }
  }
}

absl::Status LocalFleet::StartMember(Member& member) {
  LATHE_ASSIGN_OR_RETURN(
      member.process, ChildProcess::Start(member.arguments, LogPath(member)));
  return absl::OkStatus();
}

absl::Status LocalFleet::StartWorkers() {
  LATHE_ASSIGN_OR_RETURN(const std::string program,
                         FindSibling("lathe-worker"));
  const std::vector<int> cpus = AllowedCpus();
  workers_.resize(options_.workers);
  for (int i = 0; i < options_.workers; ++i) {
    workers_[i].name = absl::StrCat("lathe-worker-", i);
    workers_[i].arguments = {program,
                             "--server",
                             address_,
                             "--threads",
                             absl::StrCat(options_.threads),
                             "--cache",
                             absl::StrCat(options_.state, "/cache"),
                             "--exit-with-parent"};
    const std::vector<std::string> limits = ToArguments(options_.evaluation);
    workers_[i].arguments.insert(workers_[i].arguments.end(), limits.begin(),
                                 limits.end());
    // A call of several threads needs several cores.
    if (options_.threads == 1) {
      workers_[i].arguments.insert(
          workers_[i].arguments.end(),
          {"--core", absl::StrCat(cpus[i % cpus.size()])});
    }
    LATHE_RETURN_IF_ERROR(StartMember(workers_[i]));
  }
  return absl::OkStatus();
}

absl::Status LocalFleet::SuperviseMember(Member& member, absl::Time now) {
  const std::optional<std::string> how = member.process->Ended();
  if (!how.has_value()) return absl::OkStatus();
  if (member.next_start == absl::InfinitePast()) {
    if (member.restarts >= kMostRestarts) {
      return absl::UnavailableError(DescribeEnd(member, *how));
    }
    std::fprintf(stderr, "%s ended (%s); starting it again\n",
                 member.name.c_str(), how->c_str());
    member.next_start = now + kFirstRestartWait * (1 << member.restarts);
    ++member.restarts;
  }
  if (now < member.next_start) return absl::OkStatus();
  member.next_start = absl::InfinitePast();
  // The workers and the client know the server by its address.
  return &member == &server_ ? StartServer(address_) : StartMember(member);
}

absl::Status LocalFleet::Supervise(int64_t progress, absl::Time now) {
  if (progress > progress_) {
    progress_ = progress;
    server_.restarts = 0;
    for (Member& worker : workers_) worker.restarts = 0;
  }
  LATHE_RETURN_IF_ERROR(SuperviseMember(server_, now));
  for (Member& worker : workers_) {
    LATHE_RETURN_IF_ERROR(SuperviseMember(worker, now));
  }
  return absl::OkStatus();
}

void LocalFleet::Stop() {
  for (Member& worker : workers_) {
    if (worker.process != nullptr) worker.process->Terminate();
  }
  const absl::Time deadline = absl::Now() + kStopPatience;
  for (Member& worker : workers_) {
    if (worker.process != nullptr) worker.process->AwaitEnd(deadline);
  }
  if (server_.process == nullptr) return;
  server_.process->Terminate();
  server_.process->AwaitEnd(absl::Now() + kStopPatience);
}

}  // namespace lathe

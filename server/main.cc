// lathe-server: serves searches from a state folder.
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "base/log.h"
#include "base/signal_routing.h"
#include "server/integrity_check.h"
#include "server/local_workers.h"
#include "server/roles.h"
#include "server/server.h"
#include "server/token_table.h"
#include "storage/sqlite_store.h"

namespace lathe {
namespace {

// Calls under way get this long when the server is told to end.
constexpr absl::Duration kShutdownGrace = absl::Seconds(5);

struct Flags {
  ServerOptions server;
  int workers = 0;
  // Of `workers`, as lathe-worker has them.
  double evaluation_minutes = 30;
  double evaluation_memory_gib = 0;
  std::string log_level = "info";
  bool logs_json = false;
  bool exits_with_parent = false;
  double lease_seconds = absl::ToDoubleSeconds(LeaseTimes().ttl);
  double keep_jobs_days = 0;
  double keep_blobs_hours = 24;
  double keep_workers_days = 30;
  double most_blobs_gib = 0;
  double most_blobs_gib_per_user = 0;
  bool is_check = false;
  bool reads_blobs = false;
};

void AddAccessFlags(CLI::App& app, ServerOptions& server) {
  app.add_option("--tls-cert", server.tls.certificate,
                 "Certificate chain of this server (PEM); read again when it "
                 "changes")
      ->type_name("FILE");
  app.add_option("--tls-key", server.tls.key, "Its private key (PEM)")
      ->type_name("FILE");
  app.add_option("--client-ca", server.tls.client_ca,
                 "Authorities of clients' certificates (PEM); workers and "
                 "administrators then need one")
      ->type_name("FILE");
  app.add_option("--tokens", server.tokens_file,
                 "Tokens of callers (see `lathe-server token`); read again "
                 "when it changes")
      ->type_name("FILE");
  app.add_flag("--insecure", server.is_insecure_allowed,
               "Beyond this machine: serve unencrypted, or to everybody");
}

void AddQuotaFlags(CLI::App& app, Flags& flags) {
  Quotas& quotas = flags.server.quotas;
  app.add_option("--most-jobs-per-user", quotas.most_active_jobs,
                 "Jobs that have not ended, of one caller; 0: any number")
      ->check(CLI::Range(0, 1'000'000))
      ->capture_default_str();
  app.add_option("--most-running-per-user", quotas.most_running_trials,
                 "Trials that run at once, of one caller's jobs; 0: any number")
      ->check(CLI::Range(0, 1'000'000))
      ->capture_default_str();
  app.add_option("--most-blobs-gib-per-user", flags.most_blobs_gib_per_user,
                 "Most that the blobs of one caller may take; 0: any size")
      ->check(CLI::Range(0.0, 1e9))
      ->capture_default_str();
}

void AddFlags(CLI::App& app, Flags& flags) {
  app.set_version_flag("--version", LATHE_VERSION);
  app.add_option("--state", flags.server.state_folder,
                 "Folder with the database and the blobs; made when missing")
      ->type_name("DIR");
  app.add_option("--listen", flags.server.listen,
                 "Address to serve on; port 0 is any free one")
      ->capture_default_str()
      ->type_name("HOST:PORT");
  app.add_option("--workers", flags.workers,
                 "Number of lathe-worker processes to keep running here")
      ->check(CLI::Range(0, 256))
      ->capture_default_str();
  app.add_option("--evaluation-minutes", flags.evaluation_minutes,
                 "Of those workers: an evaluation that takes longer is ended "
                 "(TIMEOUT)")
      ->check(CLI::Range(0.001, 100'000.0))
      ->capture_default_str();
  app.add_option("--evaluation-memory-gib", flags.evaluation_memory_gib,
                 "Of those workers: one that takes more fails "
                 "(OUT_OF_MEMORY); 0: what the machine has, or its control "
                 "group")
      ->check(CLI::Range(0.0, 1e6))
      ->capture_default_str();
  AddAccessFlags(app, flags.server);
  app.add_option("--lease-seconds", flags.lease_seconds,
                 "How long a silent worker keeps its trial")
      ->check(CLI::Range(0.5, 3600.0))
      ->capture_default_str();
  app.add_option("--keep-jobs-days", flags.keep_jobs_days,
                 "Delete jobs that ended longer ago; 0: never")
      ->check(CLI::Range(0.0, 36500.0))
      ->capture_default_str();
  app.add_option("--keep-blobs-hours", flags.keep_blobs_hours,
                 "How long a blob that no job refers to stays")
      ->check(CLI::Range(0.0, 876000.0))
      ->capture_default_str();
  app.add_option("--keep-workers-days", flags.keep_workers_days,
                 "How long a worker that is gone stays in the database")
      ->check(CLI::Range(0.0, 36500.0))
      ->capture_default_str();
  app.add_option("--most-blobs-gib", flags.most_blobs_gib,
                 "Most that all blobs together may take; 0: the disk decides")
      ->check(CLI::Range(0.0, 1e9))
      ->capture_default_str();
  AddQuotaFlags(app, flags);
  app.add_flag("--check", flags.is_check,
               "Check the state folder, which no server may use, and end");
  app.add_flag("--check-blobs", flags.reads_blobs,
               "As --check; reads every blob, too");
  app.add_option("--http", flags.server.http,
                 "Address to serve metrics on, for Prometheus (/metrics)")
      ->type_name("HOST:PORT");
  app.add_option("--log-level", flags.log_level,
                 "debug, info, warning, error or off")
      ->check(CLI::IsMember({"debug", "info", "warning", "error", "off"}))
      ->capture_default_str();
  app.add_flag("--log-json", flags.logs_json, "Log one JSON object a line");
  // For programs that start a server of their own.
  app.add_flag("--exit-with-parent", flags.exits_with_parent)->group("");
}

// SIGTERM and SIGINT, which reach nobody but sigwait() in Serve.
sigset_t BlockEndSignals() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  // A client that left is an error of its call, not the end of the server.
  signal(SIGPIPE, SIG_IGN);
  return signals;
}

// Ends with the parent from now on. False when that has ended already.
bool ExitWithParent(pid_t parent) {
  prctl(PR_SET_PDEATHSIG, SIGTERM);
  return getppid() == parent;
}

// Exit codes as in docs: 2 usage, 4 denied, 5 unavailable (the state or the
// address is in use), 6 the state is unusable.
int ExitCodeOf(const absl::Status& status) {
  switch (status.code()) {
    case absl::StatusCode::kInvalidArgument:
      return 2;
    case absl::StatusCode::kNotFound:
      return 3;
    case absl::StatusCode::kPermissionDenied:
      return 4;
    case absl::StatusCode::kDataLoss:
    case absl::StatusCode::kInternal:
      return 6;
    default:
      return 5;
  }
}

// The worker program lies beside this one.
std::vector<std::string> WorkerCommand(const Flags& flags,
                                       const std::string& address) {
  std::error_code error;
  const std::filesystem::path self =
      std::filesystem::read_symlink("/proc/self/exe", error);
  return {(self.parent_path() / "lathe-worker").string(),
          "--server",
          address,
          "--cache",
          absl::StrCat(flags.server.state_folder, "/worker-cache"),
          "--evaluation-minutes",
          absl::StrCat(flags.evaluation_minutes),
          "--evaluation-memory-gib",
          absl::StrCat(flags.evaluation_memory_gib)};
}

int Fail(const absl::Status& status) {
  std::fprintf(stderr, "lathe-server: %s\n",
               std::string(status.message()).c_str());
  return ExitCodeOf(status);
}

int Serve(const Flags& flags, const sigset_t& end_signals) {
  absl::StatusOr<std::unique_ptr<Server>> server = Server::Start(flags.server);
  if (!server.ok()) return Fail(server.status());
  std::optional<LocalWorkers> workers;
  if (flags.workers > 0) {
    workers.emplace(WorkerCommand(flags, (*server)->address()), flags.workers);
  }
  if ((*server)->http_port() != 0) {
    LATHE_LOG(kInfo) << "metrics on port " << (*server)->http_port();
  }
  std::printf("listening on %s\n", (*server)->address().c_str());
  std::fflush(stdout);
  int signal_number = 0;
  sigwait(&end_signals, &signal_number);
  LATHE_LOG(kInfo) << "ending on signal " << signal_number;
  // The workers first: they give their leases back.
  workers.reset();
  (*server)->Shutdown(kShutdownGrace);
  return 0;
}

// One line for each problem, and a last one that sums up.
int Check(const Flags& flags) {
  const absl::StatusOr<v1::CheckIntegrityResponse> found =
      CheckStateFolder(flags.server.state_folder, flags.reads_blobs);
  if (!found.ok()) return Fail(found.status());
  for (const std::string& problem : found->problems()) {
    std::printf("problem: %s\n", problem.c_str());
  }
  std::printf("%lld jobs, %lld trials, %lld blobs: %d problems\n",
              static_cast<long long>(found->jobs()),
              static_cast<long long>(found->trials()),
              static_cast<long long>(found->blobs()), found->problems_size());
  return found->problems().empty() ? 0 : 6;
}

struct TokenFlags {
  std::string file;
  std::string name;
  std::string role;
  double days = 90;
};

// Prints the token, which is nowhere else, alone on standard output.
int MakeToken(const TokenFlags& flags) {
  TokenEntry entry;
  entry.name = flags.name;
  entry.role = ParseRole(flags.role).value_or(Role::kViewer);
  entry.expires_at = absl::Now() + flags.days * absl::Hours(24);
  const absl::StatusOr<std::string> token = AddToken(flags.file, entry);
  if (!token.ok()) return Fail(token.status());
  std::printf("%s\n", token->c_str());
  return 0;
}

CLI::App* AddTokenCommand(CLI::App& app, TokenFlags& flags) {
  CLI::App* const command = app.add_subcommand(
      "token", "Make a token, add its hash to a file, and print it once");
  command->add_option("--tokens", flags.file, "File for --tokens")
      ->required()
      ->type_name("FILE");
  command->add_option("--name", flags.name, "Whose it is")->required();
  command->add_option("--role", flags.role, "viewer, user, worker or admin")
      ->required()
      ->check(CLI::IsMember({"viewer", "user", "worker", "admin"}));
  command->add_option("--days", flags.days, "Until it expires")
      ->check(CLI::Range(0.0, 3650.0))
      ->capture_default_str();
  return command;
}

struct RestoreFlags {
  std::string backup;
  std::string state;
};

int RunRestore(const RestoreFlags& flags) {
  const absl::Status restored = RestoreStore(flags.backup, flags.state);
  return restored.ok() ? 0 : Fail(restored);
}

CLI::App* AddRestoreCommand(CLI::App& app, RestoreFlags& flags) {
  CLI::App* const command = app.add_subcommand(
      "restore", "Make a state folder's database from a backup");
  command->add_option("--from", flags.backup, "File that `lathe backup` made")
      ->required()
      ->type_name("FILE");
  command->add_option("--state", flags.state, "State folder without database")
      ->required()
      ->type_name("DIR");
  return command;
}

// What the flags say in other units. The lease's other times follow its length
// as in LeaseTimes.
void Apply(Flags& flags) {
  LeaseTimes& times = flags.server.lease_times;
  const LeaseTimes defaults;
  const double scale =
      flags.lease_seconds / absl::ToDoubleSeconds(defaults.ttl);
  times.ttl = absl::Seconds(flags.lease_seconds);
  times.renew_interval = defaults.renew_interval * scale;
  times.give_up = defaults.give_up * scale;
  times.sweep_interval = defaults.sweep_interval * std::min(scale, 1.0);
  times.restart_ttl = std::max(defaults.restart_ttl * scale, times.ttl);
  RetentionRules& retention = flags.server.retention;
  if (flags.keep_jobs_days > 0) {
    retention.ended_jobs = flags.keep_jobs_days * absl::Hours(24);
  }
  retention.unused_blobs = flags.keep_blobs_hours * absl::Hours(1);
  retention.gone_workers = flags.keep_workers_days * absl::Hours(24);
  flags.server.quotas.most_blob_bytes =
      static_cast<int64_t>(flags.most_blobs_gib_per_user * (int64_t{1} << 30));
  if (flags.most_blobs_gib > 0) {
    flags.server.blob_limits.most_bytes =
        static_cast<int64_t>(flags.most_blobs_gib * (int64_t{1} << 30));
  }
}

int RunServer(Flags& flags, pid_t parent) {
  if (flags.server.state_folder.empty()) {
    std::fprintf(stderr, "lathe-server: --state is required\n");
    return 2;
  }
  if (flags.is_check || flags.reads_blobs) return Check(flags);
  const ServerOptions& server = flags.server;
  if (flags.workers > 0 &&
      (server.tls.is_on() || !server.tokens_file.empty())) {
    std::fprintf(stderr,
                 "lathe-server: --workers is for a server without TLS and "
                 "tokens; start lathe-worker with credentials of its own\n");
    return 2;
  }
  Apply(flags);
  const sigset_t end_signals = BlockEndSignals();
  const SignalRouting routing({SIGTERM, SIGINT}, pthread_self());
  if (flags.exits_with_parent && !ExitWithParent(parent)) return 0;
  return Serve(flags, end_signals);
}

int Main(int argc, char** argv) {
  // Debian's build of Abseil looks for cycles of locks at every lock, under a
  // lock of its own. The tests do that.
  absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);
  // gRPC's own lines say nothing that the errors here do not; the environment
  // can ask for them.
  setenv("GRPC_VERBOSITY", "NONE", /*overwrite=*/0);
  // Models, data and results are the users', not everybody's on the machine.
  umask(0077);
  const pid_t parent = getppid();
  Flags flags;
  TokenFlags token_flags;
  RestoreFlags restore_flags;
  CLI::App app("Lathe's server: jobs, agents, leases and results.");
  AddFlags(app, flags);
  const CLI::App* const token = AddTokenCommand(app, token_flags);
  const CLI::App* const restore = AddRestoreCommand(app, restore_flags);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  SetLogLevel(ParseLogLevel(flags.log_level).value());
  if (flags.logs_json) SetLogFormat(LogFormat::kJson);
  if (token->parsed()) return MakeToken(token_flags);
  if (restore->parsed()) return RunRestore(restore_flags);
  return RunServer(flags, parent);
}

}  // namespace
}  // namespace lathe

int main(int argc, char** argv) { return lathe::Main(argc, argv); }

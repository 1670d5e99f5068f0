// lathe-server: serves searches from a state folder.
#include <signal.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
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
#include "base/log.h"
#include "server/local_workers.h"
#include "server/server.h"

namespace lathe {
namespace {

// Calls under way get this long when the server is told to end.
constexpr absl::Duration kShutdownGrace = absl::Seconds(5);

struct Flags {
  ServerOptions server;
  int workers = 0;
  bool exits_with_parent = false;
};

void AddFlags(CLI::App& app, Flags& flags) {
  app.set_version_flag("--version", LATHE_VERSION);
  app.add_option("--state", flags.server.state_folder,
                 "Folder with the database and the blobs; made when missing")
      ->required()
      ->type_name("DIR");
  app.add_option("--listen", flags.server.listen,
                 "Address to serve on; port 0 is any free one")
      ->capture_default_str()
      ->type_name("HOST:PORT");
  app.add_option("--workers", flags.workers,
                 "Number of lathe-worker processes to keep running here")
      ->check(CLI::Range(0, 256))
      ->capture_default_str();
  app.add_flag("--insecure", flags.server.is_insecure_allowed,
               "Serve unencrypted and to everybody beyond this machine");
  // For programs that start a server of their own.
  app.add_flag("--exit-with-parent", flags.exits_with_parent)->group("");
}

// SIGTERM and SIGINT reach nobody but WaitForEnd. Before any thread starts.
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
  return {(self.parent_path() / "lathe-worker").string(), "--server", address,
          "--cache", absl::StrCat(flags.server.state_folder, "/worker-cache")};
}

int Serve(const Flags& flags, const sigset_t& end_signals) {
  absl::StatusOr<std::unique_ptr<Server>> server = Server::Start(flags.server);
  if (!server.ok()) {
    std::fprintf(stderr, "lathe-server: %s\n",
                 std::string(server.status().message()).c_str());
    return ExitCodeOf(server.status());
  }
  std::optional<LocalWorkers> workers;
  if (flags.workers > 0) {
    workers.emplace(WorkerCommand(flags, (*server)->address()), flags.workers);
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

int Main(int argc, char** argv) {
  // gRPC's own lines say nothing that the errors here do not; the environment
  // can ask for them.
  setenv("GRPC_VERBOSITY", "NONE", /*overwrite=*/0);
  const pid_t parent = getppid();
  Flags flags;
  CLI::App app("Lathe's server: jobs, agents, leases and results.");
  AddFlags(app, flags);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  const sigset_t end_signals = BlockEndSignals();
  if (flags.exits_with_parent && !ExitWithParent(parent)) return 0;
  return Serve(flags, end_signals);
}

}  // namespace
}  // namespace lathe

int main(int argc, char** argv) { return lathe::Main(argc, argv); }

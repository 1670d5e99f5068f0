// A private server and its workers on this machine.
#ifndef LATHE_CLIENT_CLI_LOCAL_FLEET_H_
#define LATHE_CLIENT_CLI_LOCAL_FLEET_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "client/cli/child_process.h"
#include "client/evaluation_flags.h"

namespace lathe {

struct FleetOptions {
  // Folder of the server's state; logs go to its sub-folder "logs". Exists.
  std::string state;
  int workers = 1;
  // Cores of one worker.
  int threads = 1;
  EvaluationLimits evaluation;
};

// CPUs that this process may use.
std::vector<int> AllowedCpus();

// Workers that leave one core to the server where there are several.
int DefaultWorkers(int cpus, int threads);

// Not thread-safe; the thread that uses it must outlive it, since the children
// end with it.
class LocalFleet {
 public:
  // Starts the server on a free loopback port and waits until it listens.
  // Errors: NotFound - a program is missing; Unavailable - the server ended,
  // with the last lines of its log.
  static absl::StatusOr<std::unique_ptr<LocalFleet>> Start(
      const FleetOptions& options);

  // Kills what still runs; Stop first for a clean end.
  ~LocalFleet() = default;
  LocalFleet(const LocalFleet&) = delete;
  LocalFleet& operator=(const LocalFleet&) = delete;

  // HOST:PORT of the server; stays the same when the server is restarted.
  const std::string& address() const { return address_; }

  absl::Status StartWorkers();

  // Starts children anew that have ended, each at most a few times while
  // `progress` does not grow. To be called every fraction of a second.
  // Errors: Unavailable - a child ends again and again; with its log's end.
  absl::Status Supervise(int64_t progress, absl::Time now);

  // Ends the workers, which give their trials back, then the server.
  void Stop();

 private:
  // A child with what is needed to start it again.
  struct Member {
    std::string name;
    std::vector<std::string> arguments;
    std::unique_ptr<ChildProcess> process;
    int restarts = 0;
    absl::Time next_start = absl::InfinitePast();
  };

  explicit LocalFleet(FleetOptions options) : options_(std::move(options)) {}

  std::string LogPath(const Member& member) const;
  absl::Status StartServer(const std::string& listen_address);
  absl::Status StartMember(Member& member);
  absl::Status SuperviseMember(Member& member, absl::Time now);
  // "lathe-worker 0 ended (signal 9); its last lines: ...".
  std::string DescribeEnd(const Member& member, const std::string& how) const;

  const FleetOptions options_;
  std::string address_;
  Member server_;
  std::vector<Member> workers_;
  int64_t progress_ = 0;
};

}  // namespace lathe

#endif  // LATHE_CLIENT_CLI_LOCAL_FLEET_H_

// A program started as a child that does not outlive its parent.
#ifndef LATHE_CLIENT_CLI_CHILD_PROCESS_H_
#define LATHE_CLIENT_CLI_CHILD_PROCESS_H_

#include <sys/types.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace lathe {

// The path of `name` in the folder of the running program.
// Errors: NotFound - no such program there; says where it looked.
absl::StatusOr<std::string> FindSibling(const std::string& name);

// Not thread-safe. The child runs in a process group of its own (Ctrl-C does
// not reach it), reads nothing, and is killed when the thread that started it
// ends, even by kill -9.
class ChildProcess {
 public:
  // Starts arguments[0], a path. Standard error goes to the end of the file
  // `log_path`, standard output to ReadLine.
  // Errors: those of opening the log; Internal - no process could be made.
  static absl::StatusOr<std::unique_ptr<ChildProcess>> Start(
      const std::vector<std::string>& arguments, const std::string& log_path);

  // Kills a child that still runs.
  ~ChildProcess();
  ChildProcess(const ChildProcess&) = delete;
  ChildProcess& operator=(const ChildProcess&) = delete;

  pid_t pid() const { return pid_; }

  // How the child ended, for instance "exit code 1" or "signal 9"; none while
  // it runs.
  std::optional<std::string> Ended();

  // The next line of its standard output, without the newline.
  // Errors: DeadlineExceeded; Unavailable - the output ended before.
  absl::StatusOr<std::string> ReadLine(absl::Time deadline);

  // Asks the child to end (SIGTERM).
  void Terminate();
  // Waits for its end until `deadline`, then kills it.
  void AwaitEnd(absl::Time deadline);

 private:
  ChildProcess(pid_t pid, int output) : pid_(pid), output_(output) {}

  const pid_t pid_;
  const int output_;  // Read end of the child's standard output.
  std::string unread_;
  std::optional<std::string> ended_;
};

}  // namespace lathe

#endif  // LATHE_CLIENT_CLI_CHILD_PROCESS_H_

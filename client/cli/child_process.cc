#include "client/cli/child_process.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/file.h"
#include "base/status.h"

namespace lathe {
namespace {

constexpr absl::Duration kPollInterval = absl::Milliseconds(20);

// Exit code of a child whose program could not be run, as shells use it.
constexpr int kCannotRun = 127;

// What runs between fork and exec: only calls that are safe after a fork of a
// process with threads.
[[noreturn]] void BecomeProgram(char* const* arguments, pid_t parent,
                                int output, int log) {
  setpgid(0, 0);
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  // The parent may have died before prctl.
  if (getppid() != parent) _exit(kCannotRun);
  const int null = open("/dev/null", O_RDONLY);
  if (null < 0 || dup2(null, STDIN_FILENO) < 0 ||
      dup2(output, STDOUT_FILENO) < 0 || dup2(log, STDERR_FILENO) < 0) {
    _exit(kCannotRun);
  }
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  execv(arguments[0], arguments);
  _exit(kCannotRun);
}

std::string DescribeEnd(int wait_status) {
  if (WIFSIGNALED(wait_status)) {
    return absl::StrCat("signal ", WTERMSIG(wait_status));
  }
  return absl::StrCat("exit code ", WEXITSTATUS(wait_status));
}

}  // namespace

absl::StatusOr<std::string> FindSibling(const std::string& name) {
  char self[PATH_MAX];
  const ssize_t length = readlink("/proc/self/exe", self, sizeof(self));
  if (length <= 0) return ErrnoToStatus(errno, "read /proc/self/exe");
  const std::string program(self, length);
  const std::string path =
      absl::StrCat(program.substr(0, program.rfind('/') + 1), name);
  if (access(path.c_str(), X_OK) != 0) {
    return absl::NotFoundError(absl::StrCat(path, ": not found; ", name,
                                            " must lie beside this program"));
  }
  return path;
}

absl::StatusOr<std::unique_ptr<ChildProcess>> ChildProcess::Start(
    const std::vector<std::string>& arguments, const std::string& log_path) {
  const int log =
      open(log_path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  if (log < 0) return ErrnoToStatus(errno, absl::StrCat("open ", log_path));
  absl::Cleanup close_log = [log] { close(log); };
  int output[2];
  if (pipe2(output, O_CLOEXEC) != 0) return ErrnoToStatus(errno, "pipe");
  absl::Cleanup close_write_end = [&output] { close(output[1]); };

  std::vector<char*> pointers;
  for (const std::string& argument : arguments) {
    pointers.push_back(const_cast<char*>(argument.c_str()));
  }
  pointers.push_back(nullptr);
  const pid_t parent = getpid();
  const pid_t pid = fork();
  if (pid == 0) BecomeProgram(pointers.data(), parent, output[1], log);
  if (pid < 0) {
    const int error_number = errno;
    close(output[0]);
    return ErrnoToStatus(error_number, absl::StrCat("start ", arguments[0]));
  }
  return std::unique_ptr<ChildProcess>(new ChildProcess(pid, output[0]));
}

ChildProcess::~ChildProcess() {
  AwaitEnd(absl::InfinitePast());
  close(output_);
}

std::optional<std::string> ChildProcess::Ended() {
  if (ended_.has_value()) return ended_;
  int wait_status = 0;
  const pid_t waited = waitpid(pid_, &wait_status, WNOHANG);
  if (waited == pid_) ended_ = DescribeEnd(wait_status);
  return ended_;
}

absl::StatusOr<std::string> ChildProcess::ReadLine(absl::Time deadline) {
  while (true) {
    const size_t end = unread_.find('\n');
    if (end != std::string::npos) {
      const std::string line = unread_.substr(0, end);
      unread_.erase(0, end + 1);
      return line;
    }
    const int64_t left_ms = absl::ToInt64Milliseconds(deadline - absl::Now());
    if (left_ms <= 0) return absl::DeadlineExceededError("no line in time");
    pollfd readable = {output_, POLLIN, 0};
    if (poll(&readable, 1,
             static_cast<int>(std::min<int64_t>(left_ms, INT_MAX))) <= 0) {
      continue;
    }
    char chunk[1024];
    const ssize_t bytes = read(output_, chunk, sizeof(chunk));
    if (bytes < 0 && errno == EINTR) continue;
    if (bytes <= 0) return absl::UnavailableError("the output has ended");
    unread_.append(chunk, bytes);
  }
}

void ChildProcess::Terminate() {
  // A child that was waited for may have passed its number on.
  if (!Ended().has_value()) kill(pid_, SIGTERM);
}

void ChildProcess::AwaitEnd(absl::Time deadline) {
  while (!Ended().has_value() && absl::Now() < deadline) {
    absl::SleepFor(kPollInterval);
  }
  if (Ended().has_value()) return;
  kill(pid_, SIGKILL);
  int wait_status = 0;
  while (waitpid(pid_, &wait_status, 0) < 0 && errno == EINTR) {
  }
  ended_ = DescribeEnd(wait_status);
}

}  // namespace lathe

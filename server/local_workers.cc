#include "server/local_workers.h"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "base/log.h"

namespace lathe {
namespace {

constexpr absl::Duration kLookInterval = absl::Milliseconds(200);
constexpr absl::Duration kFirstWait = absl::Milliseconds(500);
constexpr absl::Duration kMostWait = absl::Seconds(30);
// One that ran for longer did not end at once.
constexpr absl::Duration kHealthyRun = absl::Seconds(60);
// A worker gives its lease back within a second or two.
constexpr absl::Duration kEndGrace = absl::Seconds(10);

// Runs in the child between fork and exec: only async-signal-safe calls.
[[noreturn]] void BecomeProgram(char* const* arguments, pid_t parent) {
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  // The parent may have ended before that took effect.
  if (getppid() != parent) _exit(1);
  dup2(STDERR_FILENO, STDOUT_FILENO);
  execv(arguments[0], arguments);
  _exit(127);
}

}  // namespace

LocalWorkers::LocalWorkers(std::vector<std::string> command, int count)
    : command_(std::move(command)),
      children_(count),
      thread_([this] { Supervise(); }) {}

LocalWorkers::~LocalWorkers() {
  is_stopping_ = true;
  wakeup_.Set();
  thread_.join();
}

void LocalWorkers::Supervise() {
  for (Child& child : children_) StartChild(child);
  while (!is_stopping_) {
    wakeup_.WaitUntil(SteadyNow() + kLookInterval);
    for (Child& child : children_) {
      int wait_status = 0;
      if (child.pid > 0 && waitpid(child.pid, &wait_status, WNOHANG) > 0) {
        NoteEnded(child, wait_status);
      }
      if (child.pid == 0 && SteadyNow() >= child.next_start && !is_stopping_) {
        StartChild(child);
      }
    }
  }
  EndAll();
}

void LocalWorkers::StartChild(Child& child) {
  std::vector<char*> arguments;
  for (const std::string& argument : command_) {
    arguments.push_back(const_cast<char*>(argument.c_str()));
  }
  arguments.push_back(nullptr);
  const pid_t parent = getpid();
  const pid_t pid = fork();
  if (pid == 0) BecomeProgram(arguments.data(), parent);
  child.started = SteadyNow();
  child.pid = std::max<pid_t>(pid, 0);
  if (pid < 0) {
    LATHE_LOG(kError) << "cannot start " << command_[0];
    child.next_start = SteadyNow() + kMostWait;
  }
}

void LocalWorkers::NoteEnded(Child& child, int wait_status) {
  const bool was_healthy = SteadyNow() - child.started > kHealthyRun;
  child.wait = was_healthy || child.wait == absl::ZeroDuration()
                   ? kFirstWait
                   : std::min(2 * child.wait, kMostWait);
  child.next_start = SteadyNow() + child.wait;
  LATHE_LOG(kWarning) << command_[0] << " (pid " << child.pid << ") ended with "
                      << (WIFSIGNALED(wait_status) ? "signal " : "status ")
                      << (WIFSIGNALED(wait_status) ? WTERMSIG(wait_status)
                                                   : WEXITSTATUS(wait_status))
                      << "; started again in " << child.wait;
  child.pid = 0;
}

void LocalWorkers::EndAll() {
  for (const Child& child : children_) {
    if (child.pid > 0) kill(child.pid, SIGTERM);
  }
  const absl::Time deadline = SteadyNow() + kEndGrace;
  for (Child& child : children_) {
    while (child.pid > 0) {
      if (waitpid(child.pid, nullptr, WNOHANG) != 0) break;
      if (SteadyNow() >= deadline) kill(child.pid, SIGKILL);
      wakeup_.WaitUntil(SteadyNow() + absl::Milliseconds(10));
    }
  }
}

}  // namespace lathe

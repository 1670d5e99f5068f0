#include "client/worker/evaluator_process.h"

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstring>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/status.h"

extern char** environ;

namespace lathe {
namespace {

v1::EvaluationResponse Failed(v1::OutcomeKind kind, std::string reason) {
  v1::EvaluationResponse response;
  response.mutable_outcome()->set_kind(kind);
  response.mutable_outcome()->set_reason(std::move(reason));
  return response;
}

// Who ends all processes of a task reaches the last of them well within this,
// also on a loaded machine.
constexpr int kOthersEndMs = 1000;

// Only the three standard streams reach the child: everything else that we
// open is closed by exec.
struct ChildStreams {
  int socket = -1;
  int output = -1;
};

absl::StatusOr<pid_t> Spawn(const EvaluatorProcessOptions& options,
                            const ChildStreams& streams) {
  const std::string& program =
      options.program.empty() ? options.command[0] : options.program;
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, streams.socket, STDIN_FILENO);
  posix_spawn_file_actions_adddup2(&actions, streams.output, STDOUT_FILENO);
  posix_spawn_file_actions_adddup2(&actions, streams.output, STDERR_FILENO);
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  // Neither our blocked signals nor a Ctrl-C for our terminal are the child's
  // business: we end it.
  sigset_t none, all;
  sigemptyset(&none);
  sigfillset(&all);
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setsigdefault(&attributes, &all);
  posix_spawnattr_setpgroup(&attributes, 0);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK |
                                            POSIX_SPAWN_SETSIGDEF |
                                            POSIX_SPAWN_SETPGROUP);
  std::vector<char*> argv;
  for (const std::string& argument : options.command) {
    argv.push_back(const_cast<char*>(argument.c_str()));
  }
  argv.push_back(nullptr);
  pid_t pid = 0;
  const int error = posix_spawn(&pid, program.c_str(), &actions, &attributes,
                                argv.data(), environ);
  posix_spawnattr_destroy(&attributes);
  posix_spawn_file_actions_destroy(&actions);
  if (error != 0) {
    return ErrnoToStatus(error, absl::StrCat("start ", program));
  }
  return pid;
}

std::string DescribeEnd(int wait_status) {
  if (WIFSIGNALED(wait_status)) {
    const int signal = WTERMSIG(wait_status);
    return absl::StrCat("the evaluator was killed by signal ", signal, " (",
                        strsignal(signal), ")");
  }
  return absl::StrCat("the evaluator ended with status ",
                      WEXITSTATUS(wait_status));
}

// Unlike the wall clock it never jumps.
using Clock = std::chrono::steady_clock;

int MillisecondsUntil(Clock::time_point deadline) {
  const absl::Duration left = absl::FromChrono(deadline - Clock::now());
  return static_cast<int>(
      std::clamp<int64_t>(absl::ToInt64Milliseconds(left) + 1, 0, 1000 * 3600));
}

}  // namespace

EvaluatorProcess::EvaluatorProcess(EvaluatorProcessOptions options)
    : options_(std::move(options)) {}

EvaluatorProcess::~EvaluatorProcess() { End(); }

absl::Status EvaluatorProcess::Start() {
  int sockets[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets) != 0) {
    return ErrnoToStatus(errno, "socket to the evaluator");
  }
  absl::Cleanup close_theirs = [&] { close(sockets[1]); };
  int output[2];
  if (pipe2(output, O_CLOEXEC) != 0) {
    close(sockets[0]);
    return ErrnoToStatus(errno, "pipe from the evaluator");
  }
  absl::Cleanup close_output = [&] { close(output[1]); };
  absl::StatusOr<pid_t> pid = Spawn(options_, {sockets[1], output[1]});
  if (!pid.ok()) {
    close(sockets[0]);
    close(output[0]);
    return pid.status();
  }
  fcntl(output[0], F_SETFL, O_NONBLOCK);
  pid_ = *pid;
  socket_ = sockets[0];
  stderr_ = output[0];
  reader_ = MessageReader();
  last_words_.Clear();
  return absl::OkStatus();
}

absl::Status EvaluatorProcess::SendToLivingChild(
    const v1::EvaluationRequest& request) {
  if (pid_ != 0 && SendMessage(socket_, request).ok()) return absl::OkStatus();
  if (pid_ != 0) {
    LATHE_LOG(kWarning) << End() << " while idle; starting anew";
  }
  LATHE_RETURN_IF_ERROR(Start());
  // A child that dies at once is told by the end of its socket.
  (void)SendMessage(socket_, request);
  return absl::OkStatus();
}

absl::StatusOr<v1::EvaluationResponse> EvaluatorProcess::Evaluate(
    const v1::EvaluationRequest& request, const StopSignal& stop) {
  if (stop.is_stopped()) return absl::CancelledError("stopped");
  LATHE_RETURN_IF_ERROR(SendToLivingChild(request));
  return Await(stop);
}

absl::StatusOr<v1::EvaluationResponse> EvaluatorProcess::Await(
    const StopSignal& stop) {
  const Clock::time_point deadline =
      Clock::now() + absl::ToChronoMilliseconds(options_.time_limit);
  for (;;) {
    pollfd waited[] = {
        {socket_, POLLIN, 0}, {stop.fd(), POLLIN, 0}, {stderr_, POLLIN, 0}};
    poll(waited, 3, MillisecondsUntil(deadline));
    DrainStderr();
    if (stop.is_stopped()) {
      End();
      return absl::CancelledError("stopped");
    }
    if (waited[0].revents != 0) {
      const absl::StatusOr<bool> is_open = reader_.ReadSome(socket_);
      if (!is_open.ok() || !*is_open) return Died(stop);
      v1::EvaluationResponse response;
      const absl::StatusOr<bool> is_whole = reader_.Take(&response);
      if (!is_whole.ok()) {
        return Failed(v1::CRASH,
                      absl::StrCat("the evaluator answered garbage; ", End()));
      }
      if (*is_whole) return response;
    }
    if (Clock::now() >= deadline) {
      End();
      return Failed(v1::TIMEOUT,
                    absl::StrCat("the evaluation took longer than ",
                                 absl::FormatDuration(options_.time_limit)));
    }
  }
}

absl::StatusOr<v1::EvaluationResponse> EvaluatorProcess::Died(
    const StopSignal& stop) {
  std::string how = End();
  // Neither is a signal that a program ends itself by.
  if (ending_signal_ == SIGKILL || ending_signal_ == SIGTERM) {
    pollfd stopped{stop.fd(), POLLIN, 0};
    poll(&stopped, 1, kOthersEndMs);
    if (stop.is_stopped()) return absl::CancelledError("stopped");
  }
  return Failed(v1::CRASH, std::move(how));
}

void EvaluatorProcess::DrainStderr() {
  char buffer[4096];
  for (;;) {
    const ssize_t length = read(stderr_, buffer, sizeof(buffer));
    if (length < 0 && errno == EINTR) continue;
    if (length <= 0) {
      // Poll must not report the end of the stream again and again.
      if (length == 0) {
        close(stderr_);
        stderr_ = -1;
      }
      return;
    }
    last_words_.Add(absl::string_view(buffer, length));
    (void)!write(STDERR_FILENO, buffer, length);
  }
}

std::string EvaluatorProcess::End() {
  if (pid_ == 0) return "no evaluator ran";
  // Its own end comes first if it is dying already: a closed socket precedes
  // the exit by a moment, and the signal or status must be the true one.
  const bool has_hung_up = [&] {
    pollfd waited{socket_, POLLIN, 0};
    return poll(&waited, 1, 0) == 1 && (waited.revents & POLLHUP) != 0;
  }();
  int wait_status = 0;
  if (!has_hung_up) kill(pid_, SIGKILL);
  constexpr int kPatienceMs = 2000;
  for (int waited_ms = 0; waitpid(pid_, &wait_status, WNOHANG) == 0;
       waited_ms += 10) {
    if (waited_ms >= kPatienceMs) kill(pid_, SIGKILL);
    absl::SleepFor(absl::Milliseconds(10));
  }
  if (stderr_ >= 0) DrainStderr();
  if (stderr_ >= 0) close(stderr_);
  close(socket_);
  ending_signal_ = WIFSIGNALED(wait_status) ? WTERMSIG(wait_status) : 0;
  pid_ = 0;
  socket_ = stderr_ = -1;
  const std::string words = last_words_.OneLine();
  return absl::StrCat(DescribeEnd(wait_status),
                      words.empty() ? "" : "; its last words: ", words);
}

}  // namespace lathe

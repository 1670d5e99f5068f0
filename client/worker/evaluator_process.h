// The parent half of an evaluation: a child process that may crash, hang or
// run out of memory at the cost of one attempt.
#ifndef LATHE_CLIENT_WORKER_EVALUATOR_PROCESS_H_
#define LATHE_CLIENT_WORKER_EVALUATOR_PROCESS_H_

#include <sys/types.h>

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "client/worker/message_socket.h"
#include "client/worker/stop_signal.h"
#include "client/worker/text_tail.h"
#include "proto/evaluation.pb.h"

namespace lathe {

struct EvaluatorProcessOptions {
  // Name and arguments of a program that serves requests on its standard input
  // (see evaluate_command.h).
  std::vector<std::string> command;
  // Its file; empty when that is command[0].
  std::string program;
  // An evaluation that takes longer is killed.
  absl::Duration time_limit = absl::Minutes(30);
};

// Starts the child when it is first needed and anew after it died, and keeps
// it between evaluations, so that its caches last. Not thread-safe; all calls
// from one thread that lives as long (the child dies with that thread).
class EvaluatorProcess {
 public:
  explicit EvaluatorProcess(EvaluatorProcessOptions options);
  // Ends the child.
  ~EvaluatorProcess();
  EvaluatorProcess(const EvaluatorProcess&) = delete;
  EvaluatorProcess& operator=(const EvaluatorProcess&) = delete;

  // Has one request evaluated. What befalls the child is an outcome: CRASH
  // (with its last words) when it dies or answers garbage, TIMEOUT when it
  // takes too long. One that somebody else killed is a CRASH only if the worker
  // is still there, and not told to stop, a moment later: a scheduler that ends
  // a task reaches its processes one after the other.
  //
  // Errors:
  //   Cancelled - `stop` was given; the child was killed.
  //   NotFound, Unavailable, ... - the child cannot be started.
  absl::StatusOr<v1::EvaluationResponse> Evaluate(
      const v1::EvaluationRequest& request, const StopSignal& stop);

  // Of the running child; nothing runs when 0.
  pid_t pid() const { return pid_; }

 private:
  absl::Status Start();
  // Sends to the child, and to a new one if the old one died unnoticed.
  absl::Status SendToLivingChild(const v1::EvaluationRequest& request);
  absl::StatusOr<v1::EvaluationResponse> Await(const StopSignal& stop);
  // What to say of a child that hung up.
  absl::StatusOr<v1::EvaluationResponse> Died(const StopSignal& stop);
  // Passes what the child printed on, and remembers its end. Never waits.
  void DrainStderr();
  // Kills the child if it runs, and says how it ended.
  std::string End();

  const EvaluatorProcessOptions options_;
  pid_t pid_ = 0;
  int socket_ = -1;
  int stderr_ = -1;
  int ending_signal_ = 0;  // Of the last child; 0 when it exited by itself.
  MessageReader reader_;
  TextTail last_words_;
};

}  // namespace lathe

#endif  // LATHE_CLIENT_WORKER_EVALUATOR_PROCESS_H_

// The child half of an evaluation: reads requests, evaluates, answers.
#ifndef LATHE_CLIENT_WORKER_EVALUATE_COMMAND_H_
#define LATHE_CLIENT_WORKER_EVALUATE_COMMAND_H_

#include <cstdint>
#include <functional>
#include <memory>

#include "absl/status/statusor.h"
#include "evaluator/evaluator.h"
#include "proto/evaluation.pb.h"

namespace lathe {

// Opens the evaluator of a job from the files that it names.
// Errors: InvalidArgument, Unimplemented - the model or the data are at fault;
// any other - the machine is.
using OpenEvaluator = std::function<absl::StatusOr<std::unique_ptr<Evaluator>>(
    const v1::EvaluationJob& job)>;

// Serves requests on standard input, a socket that the worker made, until it
// closes; returns the process's exit status. Dies with the worker. Keeps the
// evaluators of the last few jobs open. What evaluators print goes to standard
// error. `memory_bytes` is what evaluations may take, code, libraries and
// stacks apart; 0: what there is.
int RunEvaluateChild(const OpenEvaluator& open, int64_t memory_bytes);

// The same with the real thing: OpenOneDnnEvaluator.
int RunEvaluateChild(int64_t memory_bytes);

}  // namespace lathe

#endif  // LATHE_CLIENT_WORKER_EVALUATE_COMMAND_H_

// The exit codes that scripts rely on.
#ifndef LATHE_CLIENT_CLI_EXIT_CODE_H_
#define LATHE_CLIENT_CLI_EXIT_CODE_H_

#include "absl/status/status.h"

namespace lathe {

constexpr int kExitDone = 0;
constexpr int kExitOther = 1;
constexpr int kExitUsage = 2;
constexpr int kExitNotFound = 3;
constexpr int kExitDenied = 4;
constexpr int kExitUnavailable = 5;
// The job or the model failed.
constexpr int kExitFailed = 6;
// No configuration meets the budget.
constexpr int kExitNoConfiguration = 7;
// As shells report a process that SIGINT ended.
constexpr int kExitInterrupted = 130;

// `status`, which is not OK, with the exit code it shall lead to.
absl::Status WithExitCode(absl::Status status, int exit_code);

// The exit code of a command that ended with `status`: the one given by
// WithExitCode, else by the status's code.
int ExitCode(const absl::Status& status);

}  // namespace lathe

#endif  // LATHE_CLIENT_CLI_EXIT_CODE_H_

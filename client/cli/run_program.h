// Another program, run to its end.
#ifndef LATHE_CLIENT_CLI_RUN_PROGRAM_H_
#define LATHE_CLIENT_CLI_RUN_PROGRAM_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace lathe {

struct ProgramResult {
  // As shells count: 128 + the signal that ended it.
  int exit_code = 0;
  std::string output;
  std::string errors;
};

// Runs arguments[0], looked for in PATH, with `input` as its standard input,
// and waits for its end.
//
// Errors:
//   Unavailable - there is no such program on this machine.
//   Internal, ResourceExhausted - no process could be made.
absl::StatusOr<ProgramResult> RunProgram(
    const std::vector<std::string>& arguments, absl::string_view input = "");

}  // namespace lathe

#endif  // LATHE_CLIENT_CLI_RUN_PROGRAM_H_

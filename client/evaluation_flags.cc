#include "client/evaluation_flags.h"

#include <CLI/CLI.hpp>

#include "absl/strings/str_cat.h"

namespace lathe {

void AddEvaluationFlags(CLI::App& app, EvaluationLimits& limits) {
  app.add_option("--evaluation-minutes", limits.minutes,
                 "an evaluation that takes longer is ended (TIMEOUT)")
      ->check(CLI::Range(0.001, 100'000.0))
      ->capture_default_str();
  app.add_option("--evaluation-memory-gib", limits.memory_gib,
                 "one that takes more fails (OUT_OF_MEMORY); 0: what the "
                 "machine has, or its control group")
      ->check(CLI::Range(0.0, 1e6))
      ->capture_default_str();
}

std::vector<std::string> ToArguments(const EvaluationLimits& limits) {
  return {"--evaluation-minutes", absl::StrCat(limits.minutes),
          "--evaluation-memory-gib", absl::StrCat(limits.memory_gib)};
}

}  // namespace lathe

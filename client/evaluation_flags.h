// The flags that say what one evaluation may take.
#ifndef LATHE_CLIENT_EVALUATION_FLAGS_H_
#define LATHE_CLIENT_EVALUATION_FLAGS_H_

#include <cstdint>
#include <string>
#include <vector>

namespace CLI {
class App;
}

namespace lathe {

struct EvaluationLimits {
  double minutes = 30;
  // 0: what the machine has, or the control group that the worker is in.
  double memory_gib = 0;

  int64_t memory_bytes() const {
    return static_cast<int64_t>(memory_gib * (int64_t{1} << 30));
  }
};

// Adds --evaluation-minutes and --evaluation-memory-gib; `limits` must outlive
// `app`.
void AddEvaluationFlags(CLI::App& app, EvaluationLimits& limits);

// The same flags as arguments of a program that has them.
std::vector<std::string> ToArguments(const EvaluationLimits& limits);

}  // namespace lathe

#endif  // LATHE_CLIENT_EVALUATION_FLAGS_H_

// lathe-simulated-worker: the real worker with an evaluator that needs no
// model, for tests of the service.
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "client/credential_flags.h"
#include "client/worker/evaluate_command.h"
#include "client/worker/placement.h"
#include "client/worker/worker_loop.h"
#include "evaluator/testing/simulated_evaluator.h"

namespace lathe {
namespace {

// What goes wrong, and with which plans.
struct Faults {
  // "segfault", "abort", "exit", "hang", "allocate", "throw", "none".
  std::string name = "none";
  // Plans with so many bits in the first layer; 0: all but the baseline.
  int bits = 0;
};

// The simulated evaluator, but for plans that the faults are for.
class FaultyEvaluator : public Evaluator {
 public:
  FaultyEvaluator(const SimulatedOptions& options, Faults faults)
      : simulated_(options), faults_(std::move(faults)) {}

  absl::StatusOr<BaselineEvaluation> EvaluateBaseline() override {
    return simulated_.EvaluateBaseline();
  }

  absl::StatusOr<Evaluation> Evaluate(
      const v1::CompressionPlan& plan) override {
    const bool is_meant =
        faults_.name != "none" && plan.layers_size() > 0 &&
        (faults_.bits == 0 || plan.layers(0).weight_bits() == faults_.bits);
    if (is_meant) Misbehave();
    return simulated_.Evaluate(plan);
  }

 private:
  void Misbehave() const {
    std::fprintf(stderr, "about to %s\n", faults_.name.c_str());
    if (faults_.name == "segfault") raise(SIGSEGV);
    if (faults_.name == "abort") abort();
    if (faults_.name == "exit") _exit(3);
    if (faults_.name == "hang") pause();
    if (faults_.name == "throw") throw std::runtime_error("kernel failed");
    if (faults_.name == "allocate") {
      const std::string huge(size_t{1} << 46, 'x');
      (void)!write(STDERR_FILENO, huge.data(), 1);
    }
  }

  SimulatedEvaluator simulated_;
  const Faults faults_;
};

int Evaluate(int sleep_ms, const Faults& faults) {
  SimulatedOptions options;
  options.pause = absl::Milliseconds(sleep_ms);
  const auto open = [options, faults](const v1::EvaluationJob&) {
    return absl::StatusOr<std::unique_ptr<Evaluator>>(
        std::make_unique<FaultyEvaluator>(options, faults));
  };
  return RunEvaluateChild(open, /*memory_bytes=*/0);
}

// As what the evaluator's measurements say: a job's trials go only to workers
// of the profile that measured its baseline.
v1::Capabilities SimulatedCapabilities() {
  const v1::Measurement measurement =
      SimulatedEvaluator().EvaluateBaseline().value().evaluation.measurement;
  v1::Capabilities capabilities;
  *capabilities.mutable_profile() = measurement.profile();
  capabilities.set_evaluator_version(measurement.evaluator_version());
  capabilities.set_cores(1);
  return capabilities;
}

int Work(WorkerOptions options, int sleep_ms, const Faults& faults) {
  options.evaluator_command = {"/proc/self/exe",
                               "--sleep-ms",
                               absl::StrCat(sleep_ms),
                               "--fault-bits",
                               absl::StrCat(faults.bits),
                               "--fault",
                               faults.name,
                               "evaluate"};
  absl::StatusOr<Placement> placement = ReadPlacement(getenv);
  absl::Status status = placement.status();
  if (status.ok()) {
    options.placement = *std::move(placement);
    status = RunWorkerAs(options, SimulatedCapabilities());
  }
  if (status.ok()) return 0;
  std::fprintf(stderr, "lathe-simulated-worker: %s\n",
               std::string(status.message()).c_str());
  return 1;
}

int Run(int argc, char** argv) {
  CLI::App app("A lathe-worker that makes its measurements up.",
               "lathe-simulated-worker");
  WorkerOptions options;
  int sleep_ms = 0;
  int time_limit_ms = 600'000;
  Faults faults;
  options.cache_folder = absl::StrCat("/tmp/lathe-simulated-worker-", getuid());
  app.add_option("--server", options.server, "HOST:PORT of the server");
  AddCredentialFlags(app, options.credentials);
  app.add_option("--cache", options.cache_folder, "folder that keeps blobs");
  app.add_option("--threads", options.threads, "as lathe-worker's");
  app.add_option("--sleep-ms", sleep_ms, "milliseconds of each evaluation");
  app.add_option("--time-limit-ms", time_limit_ms,
                 "an evaluation that takes longer is a timeout");
  app.add_option("--fault", faults.name, "what evaluations do wrong");
  app.add_option("--fault-bits", faults.bits,
                 "only with so many bits in the first layer; 0: always");
  app.add_flag("--exit-with-parent", options.exits_with_parent);
  CLI::App* evaluate = app.add_subcommand("evaluate")->group("");
  CLI11_PARSE(app, argc, argv);
  if (evaluate->parsed()) return Evaluate(sleep_ms, faults);
  options.evaluation_time_limit = absl::Milliseconds(time_limit_ms);
  return Work(options, sleep_ms, faults);
}

}  // namespace
}  // namespace lathe

int main(int argc, char** argv) { return lathe::Run(argc, argv); }

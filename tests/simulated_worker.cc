// lathe-simulated-worker: the real worker with an evaluator that needs no
// model, for tests of the service.
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "client/worker/evaluate_command.h"
#include "client/worker/worker_loop.h"
#include "evaluator/testing/simulated_evaluator.h"

namespace lathe {
namespace {

int Evaluate(int sleep_ms) {
  SimulatedOptions options;
  options.pause = absl::Milliseconds(sleep_ms);
  return RunEvaluateChild([options](const v1::EvaluationJob&) {
    return absl::StatusOr<std::unique_ptr<Evaluator>>(
        std::make_unique<SimulatedEvaluator>(options));
  });
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

int Work(WorkerOptions options, int sleep_ms) {
  options.evaluator_command = {"/proc/self/exe", "--sleep-ms",
                               absl::StrCat(sleep_ms), "evaluate"};
  const absl::Status status = RunWorkerAs(options, SimulatedCapabilities());
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
  options.cache_folder = absl::StrCat("/tmp/lathe-simulated-worker-", getuid());
  app.add_option("--server", options.server, "HOST:PORT of the server");
  app.add_option("--cache", options.cache_folder, "folder that keeps blobs");
  app.add_option("--sleep-ms", sleep_ms, "milliseconds of each evaluation");
  app.add_flag("--exit-with-parent", options.exits_with_parent);
  CLI::App* evaluate = app.add_subcommand("evaluate")->group("");
  CLI11_PARSE(app, argc, argv);
  if (evaluate->parsed()) return Evaluate(sleep_ms);
  return Work(options, sleep_ms);
}

}  // namespace
}  // namespace lathe

int main(int argc, char** argv) { return lathe::Run(argc, argv); }

// lathe-engine-blocks: models made ready once and then timed in blocks, on
// demand, so that a script can let them and another engine take turns.
//
//   lathe-engine-blocks [--core C] [--batch B] [--threads N]
//                       [--library-kernels] MODEL:PRECISION...
//
// prints one line when all are ready; for each line "INDEX SECONDS" on standard
// input it calls model INDEX for so long and prints a JSON array of the
// microseconds of each call. With --library-kernels oneDNN's preferred kernels
// run, unmeasured. With --export FILE it writes the first model,
// batch norms folded and at that precision (int8: with synthetic scales),
// instead.
#include <CLI/CLI.hpp>
#include <cstring>
#include <iostream>
#include <nlohmann/json.hpp>

#include "base/file.h"
#include "base/status.h"
#include "client/worker/bench_model.h"
#include "client/worker/command.h"
#include "compressor/onnx.h"
#include "evaluator/core_pin.h"
#include "evaluator/executor.h"
#include "evaluator/latency.h"

namespace lathe {
namespace {

struct Flags {
  std::vector<std::string> models;
  std::optional<int> core;
  int64_t batch = 1;
  int threads = 1;
  bool library_kernels = false;
  std::string export_path;
};

absl::StatusOr<Graph> OpenAtPrecision(const std::string& model) {
  const size_t colon = model.rfind(':');
  if (colon == std::string::npos) return OpenGraph(model);
  LATHE_ASSIGN_OR_RETURN(const Graph graph, OpenGraph(model.substr(0, colon)));
  auto changed = AtPrecision(graph, model.substr(colon + 1));
  if (!changed.ok()) return ModelFailed(changed.status(), model);
  return changed;
}

absl::StatusOr<std::unique_ptr<Executor>> Prepare(const std::string& model,
                                                  const Flags& flags) {
  LATHE_ASSIGN_OR_RETURN(const Graph graph, OpenAtPrecision(model));
  ExecutorOptions options;
  options.batch = flags.batch;
  options.measures_kernels = !flags.library_kernels;
  auto executor = Executor::Compile(graph, options);
  if (!executor.ok()) return ModelFailed(executor.status(), model);
  LATHE_ASSIGN_OR_RETURN(const std::vector<Tensor> inputs,
                         RandomInputs(graph, flags.batch));
  for (size_t i = 0; i < inputs.size(); ++i) {
    const std::string& bytes = inputs[i].bytes();
    std::memcpy((*executor)->input(i), bytes.data(), bytes.size());
  }
  return executor;
}

absl::StatusOr<nlohmann::json> TimeBlock(Executor* executor, double seconds) {
  // By the clock on the wall, which is all that the other engine's script has.
  const TimedCall call = TimeRuns(executor, /*threads=*/0);
  // What the other model left in the caches is not this one's latency.
  for (int i = 0; i < 2; ++i) LATHE_RETURN_IF_ERROR(call().status());
  nlohmann::json times_us = nlohmann::json::array();
  for (double spent = 0; spent < seconds;) {
    LATHE_ASSIGN_OR_RETURN(const double taken, call());
    spent += taken;
    times_us.push_back(1e6 * taken);
  }
  return times_us;
}

absl::Status Serve(const Flags& flags) {
  SetThreads(flags.threads);
  std::vector<std::unique_ptr<Executor>> executors;
  for (const std::string& model : flags.models) {
    LATHE_ASSIGN_OR_RETURN(executors.emplace_back(), Prepare(model, flags));
  }
  LATHE_ASSIGN_OR_RETURN(const auto pin, CorePin::Pin(flags.core));
  PrintText("ready\n");
  size_t index = 0;
  double seconds = 0;
  while (std::cin >> index >> seconds) {
    if (index >= executors.size()) {
      return absl::InvalidArgumentError("no model of that index");
    }
    LATHE_ASSIGN_OR_RETURN(const nlohmann::json times_us,
                           TimeBlock(executors[index].get(), seconds));
    PrintJson(times_us);
  }
  return absl::OkStatus();
}

absl::Status Export(const Flags& flags) {
  LATHE_ASSIGN_OR_RETURN(const Graph graph, OpenAtPrecision(flags.models[0]));
  LATHE_ASSIGN_OR_RETURN(const std::string bytes, SerializeOnnx(graph));
  return WriteFileAtomically(flags.export_path, bytes);
}

int Main(int argc, char** argv) {
  Flags flags;
  CLI::App app("Times models in blocks, on demand");
  app.add_option("MODELS", flags.models, "ONNX files, each with :PRECISION")
      ->required();
  app.add_option("--core", flags.core, "core to pin to");
  app.add_option("--batch", flags.batch, "samples of one call");
  AddThreadsFlag(app, flags.threads);
  app.add_flag("--library-kernels", flags.library_kernels,
               "the kernels that oneDNN prefers, unmeasured");
  app.add_option("--export", flags.export_path, "ONNX file to write");
  CLI11_PARSE(app, argc, argv);
  const absl::Status status =
      flags.export_path.empty() ? Serve(flags) : Export(flags);
  if (!status.ok()) std::cerr << status.message() << "\n";
  return ExitCodeOf(status);
}

}  // namespace
}  // namespace lathe

int main(int argc, char** argv) { return lathe::Main(argc, argv); }

// `lathe-worker bench`: how fast the engine runs a model, step by step.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <memory>
#include <nlohmann/json.hpp>
#include <numeric>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/numeric.h"
#include "base/status.h"
#include "client/worker/bench_model.h"
#include "client/worker/command.h"
#include "evaluator/core_pin.h"
#include "evaluator/executor.h"
#include "evaluator/latency.h"

namespace lathe {
namespace {

struct BenchFlags {
  std::string model;
  std::vector<std::string> sizes;
  std::string precision = "as-is";
  std::string output = "text";
  int threads = 1;
  int64_t batch = 1;
  // Timed calls; 0: as many as a second holds, 30 to 2,000.
  int64_t repeat = 0;
  std::optional<int> core;
};

constexpr int64_t kWarmUp = 10;
// Whole calls between two rounds of bare kernels. The first, which is not
// timed, brings back what calls in a row find: between them nothing trains the
// processor's predictors otherwise.
constexpr int64_t kBlockCalls = 8;
constexpr int64_t kLeastRepeats = 30;
constexpr int64_t kMostRepeats = 2000;
constexpr double kEnoughSeconds = 1;

struct Timings {
  std::vector<double> seconds;
  // Of each run the seconds of every step's bare kernel: as it meets its
  // caches in the network, and run a second time in a row.
  std::vector<std::vector<double>> steps;
  std::vector<std::vector<double>> warm_steps;
};

// Of each step the mean over the runs whose totals are the middle half: as
// deaf to interruptions as a median, and the steps' sum is that of whole runs.
// REQUIRES: !runs.empty().
std::vector<double> MiddleMeans(std::vector<std::vector<double>> runs) {
  std::sort(runs.begin(), runs.end(), [](const auto& a, const auto& b) {
    return std::accumulate(a.begin(), a.end(), 0.) <
           std::accumulate(b.begin(), b.end(), 0.);
  });
  const size_t first = runs.size() / 4;
  const size_t count = runs.size() - 2 * first;
  std::vector<double> means(runs[0].size(), 0);
  for (size_t r = first; r < first + count; ++r) {
    for (size_t i = 0; i < means.size(); ++i) {
      means[i] += runs[r][i] / static_cast<double>(count);
    }
  }
  return means;
}

bool IsEnough(const Timings& timings, double total_s, int64_t repeat) {
  const int64_t runs = timings.seconds.size();
  if (repeat > 0) return runs >= repeat;
  return runs >= kMostRepeats ||
         (runs >= kLeastRepeats && total_s >= kEnoughSeconds);
}

// Blocks of whole calls and calls of the bare kernels in turn, so that both
// meet the same machine.
absl::StatusOr<Timings> TimeExecutor(Executor* executor, int threads,
                                     int64_t repeat) {
  const TimedCall call = TimeRuns(executor, threads);
  for (int64_t i = 0; i < kWarmUp; ++i) {
    LATHE_RETURN_IF_ERROR(call().status());
  }
  Timings timings;
  double total_s = 0;
  while (!IsEnough(timings, total_s, repeat)) {
    LATHE_RETURN_IF_ERROR(call().status());
    for (int64_t i = 0; i < kBlockCalls && !IsEnough(timings, total_s, repeat);
         ++i) {
      LATHE_ASSIGN_OR_RETURN(timings.seconds.emplace_back(), call());
      total_s += timings.seconds.back();
    }
    const std::vector<double> zeros(executor->steps().size(), 0);
    LATHE_RETURN_IF_ERROR(
        executor->RunTimed(&timings.steps.emplace_back(zeros)));
    LATHE_RETURN_IF_ERROR(
        executor->RunWarm(&timings.warm_steps.emplace_back(zeros)));
  }
  return timings;
}

nlohmann::json ToJson(const Timings& timings, const Executor& executor) {
  constexpr double kMicros = 1e6;
  nlohmann::json nodes = nlohmann::json::array();
  const std::vector<double> steps_s = MiddleMeans(timings.steps);
  const std::vector<double> warm_s = MiddleMeans(timings.warm_steps);
  double primitives_us = 0;
  double warm_us = 0;
  double reorders_us = 0;
  double loops_us = 0;
  for (size_t i = 0; i < steps_s.size(); ++i) {
    const StepInfo& step = executor.steps()[i];
    const double us = kMicros * steps_s[i];
    primitives_us += us;
    warm_us += kMicros * warm_s[i];
    if (step.is_reorder) reorders_us += us;
    if (step.is_loop) loops_us += us;
    nodes.push_back({{"name", step.name},
                     {"kind", step.kind},
                     {"implementation", step.implementation},
                     {"is_integer", step.is_integer},
                     {"us", us}});
  }
  const double latency_us = kMicros * Median(timings.seconds);
  nlohmann::json result = {
      {"latency_us", latency_us},
      {"latency_us_p05", kMicros * Quantile(timings.seconds, 0.05)},
      {"latency_us_p95", kMicros * Quantile(timings.seconds, 0.95)},
      {"repeats", timings.seconds.size()},
      {"primitives_us", primitives_us},
      {"warm_us", warm_us},
      {"reorders_us", reorders_us},
      {"loops_us", loops_us},
      {"peak_bytes", executor.peak_activation_bytes()},
      {"nodes", std::move(nodes)}};
  // A model without steps has nothing to divide by.
  result["overhead_ratio"] = primitives_us > 0 ? latency_us / primitives_us : 1;
  return result;
}

absl::StatusOr<nlohmann::json> Bench(const BenchFlags& flags) {
  LATHE_ASSIGN_OR_RETURN(const Graph opened,
                         OpenGraph(flags.model, ShapesOfFlags(flags.sizes)));
  SetThreads(flags.threads);
  const auto graph = AtPrecision(opened, flags.precision);
  if (!graph.ok()) return ModelFailed(graph.status(), flags.model);
  const auto executor = CompileWithInputs(*graph, flags.batch);
  if (!executor.ok()) return ModelFailed(executor.status(), flags.model);
  LATHE_ASSIGN_OR_RETURN(const std::unique_ptr<CorePin> pin,
                         CorePin::Pin(flags.core));
  const auto timings =
      TimeExecutor(executor->get(), flags.threads, flags.repeat);
  if (!timings.ok()) return ModelFailed(timings.status(), flags.model);
  nlohmann::json result = ToJson(*timings, **executor);
  result["precision"] = flags.precision;
  result["threads"] = flags.threads;
  result["batch"] = flags.batch;
  return result;
}

std::string ResultText(const nlohmann::json& result) {
  std::string text = absl::StrFormat(
      "latency %.1f us (%.1f to %.1f), kernels %.1f us (reorders %.1f, loops "
      "%.1f; warm %.1f), ratio %.3f, activations %d bytes\n",
      result["latency_us"].get<double>(),
      result["latency_us_p05"].get<double>(),
      result["latency_us_p95"].get<double>(),
      result["primitives_us"].get<double>(),
      result["reorders_us"].get<double>(), result["loops_us"].get<double>(),
      result["warm_us"].get<double>(), result["overhead_ratio"].get<double>(),
      result["peak_bytes"].get<int64_t>());
  for (const nlohmann::json& node : result["nodes"]) {
    absl::StrAppendFormat(&text, "%10.2f us  %-10s %-28s %s\n",
                          node["us"].get<double>(),
                          node["kind"].get<std::string>(),
                          node["implementation"].get<std::string>(),
                          node["name"].get<std::string>());
  }
  return text;
}

absl::Status RunBench(const BenchFlags& flags) {
  LATHE_ASSIGN_OR_RETURN(const nlohmann::json result, Bench(flags));
  if (flags.output == "json") {
    PrintJson(result);
  } else {
    PrintText(ResultText(result));
  }
  return absl::OkStatus();
}

}  // namespace

void AddBench(CLI::App& app, ChosenCommand& chosen) {
  auto flags = std::make_shared<BenchFlags>();
  CLI::App* command = app.add_subcommand("bench", "Time a model and its steps");
  AddModelArgument(*command, flags->model);
  AddSizesFlag(*command, flags->sizes);
  AddOutputFlag(*command, flags->output);
  AddThreadsFlag(*command, flags->threads);
  command
      ->add_option("--precision", flags->precision, "f32, bf16, int8 or as-is")
      ->check(CLI::IsMember({"f32", "bf16", "int8", "as-is"}));
  command->add_option("--batch", flags->batch, "samples of one inference call")
      ->check(CLI::Range(int64_t{1}, int64_t{65536}));
  command->add_option("--repeat", flags->repeat, "timed calls")
      ->check(CLI::Range(int64_t{1}, int64_t{1000000}));
  command->add_option("--core", flags->core, "core to pin to");
  command->callback(
      [flags, &chosen] { chosen.run = [flags] { return RunBench(*flags); }; });
}

}  // namespace lathe

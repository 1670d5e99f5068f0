// Latency of whole networks and of their bare kernels, in each precision.
// Reads the networks from the data folder:
//   LATHE_DATA_DIR=... taskset -c 1 bin/executor_bench
#include <cstdio>
#include <cstdlib>
#include <iterator>
#include <random>
#include <string>
#include <utility>

#include "base/file.h"
#include "base/status.h"
#include "benchmark/benchmark.h"
#include "compressor/canonical.h"
#include "compressor/onnx.h"
#include "compressor/shape_inference.h"
#include "evaluator/executor.h"
#include "evaluator/testing/graph_builder.h"

namespace lathe {
namespace {

std::string DataPath(const std::string& name) {
  const char* folder = std::getenv("LATHE_DATA_DIR");
  return (folder != nullptr ? std::string(folder) : "../shared/data") + "/" +
         name;
}

bool HasConstantWeights(const Graph& graph, const Node& node) {
  const bool is_layer = node.op_type == "Conv" || node.op_type == "Gemm" ||
                        node.op_type == "MatMul";
  return is_layer && graph.IsConstant(node.inputs[1]);
}

// All layers in `precision`, with grids from one random input.
absl::StatusOr<Graph> LoadIn(const std::string& name, v1::Precision precision) {
  LATHE_ASSIGN_OR_RETURN(const std::string bytes, ReadFile(DataPath(name)));
  LATHE_ASSIGN_OR_RETURN(const Graph parsed, ParseOnnx(bytes));
  LATHE_ASSIGN_OR_RETURN(const Graph graph, Canonicalize(parsed));
  GraphParts parts = graph.parts();
  for (Node& node : parts.nodes) {
    if (HasConstantWeights(graph, node)) node.precision = precision;
  }
  LATHE_ASSIGN_OR_RETURN(const Graph layered, Graph::Create(std::move(parts)));
  LATHE_ASSIGN_OR_RETURN(const auto shapes, InputShapes(graph, /*batch=*/1));
  std::vector<Tensor> inputs;
  std::mt19937 random(1);
  std::normal_distribution<float> normal;
  for (const Shape& shape : shapes) {
    std::vector<float> values(ElementCount(shape));
    for (float& value : values) value = normal(random);
    inputs.push_back(Tensor::Of<float>(shape, values));
  }
  GridOptions options;
  options.is_signed_where_negative = true;
  return WithGrids(layered, inputs, options);
}

// The time outside of oneDNN's kernels and plain loops is what dispatching
// costs; `steps_us` is the time inside.
void Report(Executor& executor, benchmark::State& state) {
  constexpr int kRuns = 200;
  std::vector<double> seconds(executor.steps().size(), 0);
  for (int run = 0; run < kRuns; ++run) {
    if (!executor.RunTimed(&seconds).ok()) return;
  }
  double all = 0;
  double reorders = 0;
  for (size_t i = 0; i < seconds.size(); ++i) {
    all += seconds[i];
    if (executor.steps()[i].is_reorder) reorders += seconds[i];
    if (std::getenv("LATHE_BENCH_STEPS") != nullptr) {
      const StepInfo& step = executor.steps()[i];
      std::printf("%8.2f us %-12s %-28s %s\n", seconds[i] / kRuns * 1e6,
                  step.kind.c_str(), step.implementation.c_str(),
                  step.name.c_str());
    }
  }
  state.counters["steps"] = static_cast<double>(seconds.size());
  state.counters["steps_us"] = all / kRuns * 1e6;
  state.counters["reorders_us"] = reorders / kRuns * 1e6;
  state.counters["peak_bytes"] =
      static_cast<double>(executor.peak_activation_bytes());
}

constexpr const char* kNetworks[] = {
    "cifar10/resnet20.onnx",       "cifar10/resnet8.onnx",
    "imagenet/squeezenet1_1.onnx", "kws/dscnn_tiny.onnx",
    "cifar10/cct4_3x1.onnx",       "cifar10/vit_pgd_2_3_16.onnx",
    "mnist/mnist_cnn.onnx",        "kws/lstm_arm_s.onnx"};
constexpr v1::Precision kPrecisions[] = {v1::F32, v1::BF16, v1::INT8};

// Arguments: places in kNetworks and kPrecisions.
void BM_Network(benchmark::State& state) {
  const std::string name = kNetworks[state.range(0)];
  const v1::Precision precision = kPrecisions[state.range(1)];
  state.SetLabel(name + "/" + v1::Precision_Name(precision));
  SetThreads(1);
  const auto graph = LoadIn(name, precision);
  if (!graph.ok()) {
    state.SkipWithError(graph.status().ToString().c_str());
    return;
  }
  auto executor = Executor::Compile(*graph, ExecutorOptions());
  if (!executor.ok()) {
    state.SkipWithError(executor.status().ToString().c_str());
    return;
  }
  while (state.KeepRunning()) {
    if (!(*executor)->Run().ok()) state.SkipWithError("a run failed");
  }
  Report(**executor, state);
}

BENCHMARK(BM_Network)
    ->ArgsProduct({benchmark::CreateDenseRange(0, std::size(kNetworks) - 1, 1),
                   benchmark::CreateDenseRange(0, std::size(kPrecisions) - 1,
                                               1)})
    ->Unit(benchmark::kMicrosecond);

}  // namespace
}  // namespace lathe

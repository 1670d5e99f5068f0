// lathe-quantize-study: the accuracy that is left after quantisation, for each
// combination of the lists given. One line of tab-separated values for each;
// experiments/compression/quantize.sh makes the tables of README.md from them.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <ctime>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/file.h"
#include "base/status.h"
#include "compressor/canonical.h"
#include "compressor/compress.h"
#include "compressor/onnx.h"
#include "compressor/quantize_names.h"
#include "compressor/search_space.h"
#include "data/data_flags.h"
#include "evaluator/accuracy.h"
#include "evaluator/calibration_source.h"
#include "evaluator/executor.h"
#include "evaluator/job_data.h"
#include "proto/plan.h"

namespace lathe {
namespace {

struct Flags {
  std::string model;
  DataFlags data;
  std::vector<int> weight_bits = {8, 6, 4, 3, 2};
  std::vector<int> activation_bits = {8};
  std::vector<std::string> ranges = {"mse"};
  std::vector<std::string> scopes = {"channel"};
  std::vector<std::string> repairs = {"all"};
  int64_t samples = 128;
};

// Of this process, on one thread.
double CpuSecondsSince(std::clock_t start) {
  return static_cast<double>(std::clock() - start) / CLOCKS_PER_SEC;
}

// Everything that does not depend on the combination.
struct Study {
  Graph graph;
  v1::SearchSpace space;
  const JobData& data;
  CalibrationSource source;
  ActivationStats stats;
  Answers reference;
};

v1::CompressionPlan PlanOf(const v1::SearchSpace& space, int bits) {
  v1::CompressionPlan plan = BaselinePlan(space);
  for (v1::LayerChoice& choice : *plan.mutable_layers()) {
    choice.set_precision(v1::INT8);
    choice.set_weight_bits(bits);
  }
  return plan;
}

absl::Status RunCell(Study& study, const Flags& flags, const std::string& range,
                     const std::string& scope, const std::string& repair,
                     int weight_bits, int activation_bits) {
  CompressOptions options;
  options.weight_samples = flags.samples;
  LATHE_ASSIGN_OR_RETURN(options.range, ParseRangeMethod(range));
  LATHE_RETURN_IF_ERROR(SetRepairs(repair, &options));
  options.range.bits = activation_bits;
  options.weights.scale_scope =
      scope == "tensor" ? ScaleScope::kPerTensor : ScaleScope::kPerChannel;
  const std::clock_t start = std::clock();
  LATHE_ASSIGN_OR_RETURN(
      const Graph graph,
      Compress(study.graph, study.space, PlanOf(study.space, weight_bits),
               study.stats, study.source, options));
  const double seconds = CpuSecondsSince(start);
  const DataPart& test = study.data.search;
  LATHE_ASSIGN_OR_RETURN(const Answers answers,
                         Answer(graph, test.inputs, test.samples));
  const Accuracy accuracy = Score(answers, study.reference, test.labels);
  std::printf("%s\t%s\t%s\t%d\t%d\t%.4f\t%lld\t%.4f\t%.2f\n", range.c_str(),
              scope.c_str(), repair.c_str(), weight_bits, activation_bits,
              static_cast<double>(accuracy.correct) / accuracy.samples,
              static_cast<long long>(accuracy.samples), accuracy.kl_divergence,
              seconds);
  std::fflush(stdout);
  return absl::OkStatus();
}

absl::Status RunCells(Study& study, const Flags& flags) {
  for (const std::string& range : flags.ranges) {
    for (const std::string& scope : flags.scopes) {
      for (const std::string& repair : flags.repairs) {
        for (const int activation_bits : flags.activation_bits) {
          for (const int bits : flags.weight_bits) {
            LATHE_RETURN_IF_ERROR(RunCell(study, flags, range, scope, repair,
                                          bits, activation_bits));
          }
        }
      }
    }
  }
  return absl::OkStatus();
}

absl::Status Run(const Flags& flags) {
  SetThreads(1);
  LATHE_ASSIGN_OR_RETURN(LoadedData loaded, LoadData(flags.data));
  LATHE_ASSIGN_OR_RETURN(const std::string bytes, ReadFile(flags.model));
  LATHE_ASSIGN_OR_RETURN(const Graph parsed, ParseOnnx(bytes));
  LATHE_ASSIGN_OR_RETURN(Graph graph, Canonicalize(parsed));
  LATHE_ASSIGN_OR_RETURN(v1::SearchSpace space, MakeSearchSpace(graph, {}));
  LATHE_ASSIGN_OR_RETURN(
      const std::unique_ptr<JobData> data,
      OpenJobData(graph, std::move(loaded.datasets), loaded.spec));
  LATHE_ASSIGN_OR_RETURN(Answers reference, Answer(graph, data->search.inputs,
                                                   data->search.samples));
  CalibrationSource source(&data->calibration.inputs, data->calibration.samples,
                           graph.parts().opset);
  LATHE_ASSIGN_OR_RETURN(
      ActivationStats stats,
      CollectActivationStats(graph, source, source.SampleCount()));
  const Accuracy f32 = Score(reference, reference, data->search.labels);
  std::printf(
      "range\tscope\trepairs\tweight_bits\tactivation_bits\ttop1\t"
      "samples\tdivergence\tcpu_seconds\n");
  std::printf("f32\t-\t-\t32\t32\t%.4f\t%lld\t0\t0\n",
              static_cast<double>(f32.correct) / f32.samples,
              static_cast<long long>(f32.samples));
  Study study{std::move(graph),  std::move(space), *data,
              std::move(source), std::move(stats), std::move(reference)};
  return RunCells(study, flags);
}

}  // namespace
}  // namespace lathe

int main(int argc, char** argv) {
  CLI::App app{"Accuracy after quantisation, for each combination"};
  lathe::Flags flags;
  app.add_option("MODEL", flags.model, "ONNX file")->required();
  app.add_option("--weight-bits", flags.weight_bits)->delimiter(',');
  app.add_option("--activation-bits", flags.activation_bits)->delimiter(',');
  app.add_option("--ranges", flags.ranges)->delimiter(',');
  app.add_option("--scopes", flags.scopes, "channel, tensor")
      ->delimiter(',')
      ->check(CLI::IsMember({"channel", "tensor"}));
  app.add_option("--repairs", flags.repairs,
                 "none, all, or names joined by +: refit, rounding, analytic, "
                 "bias, equalize")
      ->delimiter(',');
  app.add_option("--weight-samples", flags.samples, "calibration samples");
  lathe::AddDataFlags(app, flags.data);
  CLI11_PARSE(app, argc, argv);
  const absl::Status status = lathe::Run(flags);
  if (status.ok()) return 0;
  std::fprintf(stderr, "%s\n", status.ToString().c_str());
  return 1;
}

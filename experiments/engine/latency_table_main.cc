// lathe-latency-study MODEL: how well the table of single layers predicts the
// latency of random plans, and how well the agent's cost model does once it has
// seen some. Prints one JSON object; latency_table.py makes a table of it.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cmath>
#include <iostream>
#include <nlohmann/json.hpp>
#include <random>

#include "agent/cost_model.h"
#include "base/numeric.h"
#include "base/status.h"
#include "client/worker/bench_model.h"
#include "client/worker/command.h"
#include "compressor/activation_stats.h"
#include "compressor/compress.h"
#include "compressor/search_space.h"
#include "evaluator/core_pin.h"
#include "evaluator/executor.h"
#include "evaluator/latency.h"
#include "evaluator/latency_table.h"
#include "proto/latency_model.h"
#include "proto/plan.h"

namespace lathe {
namespace {

struct Flags {
  std::string model;
  int plans = 100;
  uint64_t seed = 1;
  std::optional<int> core;
  // Plans that the agent's cost model has seen when it is asked.
  int learned = 30;
};

// A model with what compressing it takes.
struct Subject {
  Graph graph;
  v1::SearchSpace space;
  ActivationStats stats;
};

absl::StatusOr<Subject> Open(const std::string& path) {
  LATHE_ASSIGN_OR_RETURN(Graph graph, OpenGraph(path));
  SpaceOptions options;
  options.has_bf16 = HasNativeBf16();
  LATHE_ASSIGN_OR_RETURN(v1::SearchSpace space,
                         MakeSearchSpace(graph, options));
  RandomSource source(&graph);
  LATHE_ASSIGN_OR_RETURN(
      ActivationStats stats,
      CollectActivationStats(graph, source, source.SampleCount()));
  return Subject{std::move(graph), std::move(space), std::move(stats)};
}

// Every decision uniformly at random.
Choices RandomChoices(const DecisionSpace& decisions, std::mt19937_64* random) {
  Choices choices;
  for (const Decision& decision : decisions.decisions()) {
    choices.push_back((*random)() % decision.count);
  }
  return choices;
}

struct Sample {
  Choices choices;
  double predicted_us = 0;
  v1::Measurement measurement;
  double measured_us = 0;
};

absl::StatusOr<LatencyComparison> MeasurePlan(const Subject& subject,
                                              const v1::CompressionPlan& plan,
                                              Executor* baseline) {
  RandomSource source(&subject.graph);
  CompressOptions compress;
  compress.range.method = RangeMethod::kMinMax;
  compress.weights = NearestWeights();
  compress.prune.criterion = PruneCriterion::kL1;
  compress.prune.rebuild = RebuildMethod::kNone;
  compress.prune.samples = source.SampleCount();
  LATHE_ASSIGN_OR_RETURN(const Graph graph,
                         Compress(subject.graph, subject.space, plan,
                                  subject.stats, source, compress));
  LATHE_ASSIGN_OR_RETURN(const auto executor, CompileWithInputs(graph, 1));
  LatencyOptions options;
  options.interval_width = 0.02;
  options.most_seconds = 3;
  return CompareLatency(TimeRuns(executor.get(), 1), TimeRuns(baseline, 1),
                        options);
}

// Spearman's rank correlation; ties are broken by place.
double RankCorrelation(const std::vector<double>& a,
                       const std::vector<double>& b) {
  const auto ranks = [](const std::vector<double>& values) {
    std::vector<int> order(values.size());
    for (size_t i = 0; i < order.size(); ++i) order[i] = i;
    std::stable_sort(order.begin(), order.end(),
                     [&](int x, int y) { return values[x] < values[y]; });
    std::vector<double> rank(values.size());
    for (size_t i = 0; i < order.size(); ++i) rank[order[i]] = i;
    return rank;
  };
  const std::vector<double> ranks_a = ranks(a);
  const std::vector<double> ranks_b = ranks(b);
  double squares = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    squares += (ranks_a[i] - ranks_b[i]) * (ranks_a[i] - ranks_b[i]);
  }
  const double n = a.size();
  return 1 - 6 * squares / (n * (n * n - 1));
}

nlohmann::json Errors(const std::vector<double>& predicted,
                      const std::vector<double>& measured) {
  std::vector<double> errors;
  std::vector<double> signed_errors;
  for (size_t i = 0; i < predicted.size(); ++i) {
    signed_errors.push_back(predicted[i] / measured[i] - 1);
    errors.push_back(std::abs(signed_errors.back()));
  }
  return {{"plans", errors.size()},
          {"median_error", Median(errors)},
          {"p90_error", Quantile(errors, 0.9)},
          {"median_signed_error", Median(signed_errors)},
          {"rank_correlation", RankCorrelation(predicted, measured)}};
}

nlohmann::json Report(const std::vector<Sample>& samples,
                      const DecisionSpace& decisions,
                      const v1::LatencyTable& table, int learned) {
  v1::Measurement baseline;
  baseline.set_latency_us(samples[0].measurement.baseline_latency_us());
  baseline.set_size_bytes(1);
  CostModel model(&decisions, table, baseline);
  std::vector<double> predicted, measured, agents, unseen;
  for (size_t i = 0; i < samples.size(); ++i) {
    predicted.push_back(samples[i].predicted_us);
    measured.push_back(samples[i].measured_us);
    if (static_cast<int>(i) < learned) {
      model.Observe(samples[i].choices, samples[i].measurement);
    } else {
      agents.push_back(model.LatencyUs(samples[i].choices));
      unseen.push_back(samples[i].measured_us);
    }
  }
  nlohmann::json report = {{"table", Errors(predicted, measured)}};
  if (agents.size() > 1) report["agent"] = Errors(agents, unseen);
  report["learned"] = learned;
  return report;
}

absl::StatusOr<nlohmann::json> Study(const Flags& flags) {
  SetThreads(1);
  LATHE_ASSIGN_OR_RETURN(const Subject subject, Open(flags.model));
  LATHE_ASSIGN_OR_RETURN(const DecisionSpace decisions,
                         DecisionSpace::Make(subject.space));
  LATHE_ASSIGN_OR_RETURN(const auto pin, CorePin::Pin(flags.core));
  RandomSource source(&subject.graph);
  const auto start = std::chrono::steady_clock::now();
  LATHE_ASSIGN_OR_RETURN(const v1::LatencyTable table,
                         BuildLatencyTable(subject.graph, subject.space,
                                           subject.stats, source, {}));
  const std::chrono::duration<double> table_time =
      std::chrono::steady_clock::now() - start;
  const LatencyModel model(subject.space, table);
  LATHE_ASSIGN_OR_RETURN(const auto baseline,
                         CompileWithInputs(subject.graph, 1));
  std::mt19937_64 random(flags.seed);
  std::vector<Sample> samples;
  int noisy = 0;
  double clock_us = 0;
  while (static_cast<int>(samples.size()) < flags.plans) {
    Sample sample;
    sample.choices = RandomChoices(decisions, &random);
    const v1::CompressionPlan plan = decisions.ToPlan(sample.choices);
    const auto measured = MeasurePlan(subject, plan, baseline.get());
    if (absl::IsFailedPrecondition(measured.status())) continue;
    LATHE_RETURN_IF_ERROR(measured.status());
    noisy += measured->is_noisy;
    // One clock for all: the first measurement's baseline.
    if (samples.empty()) clock_us = measured->baseline.median_us;
    sample.predicted_us = model.PredictUs(plan);
    sample.measured_us = measured->ratio * clock_us;
    sample.measurement.set_latency_ratio(measured->ratio);
    sample.measurement.set_latency_us(measured->candidate.median_us);
    sample.measurement.set_baseline_latency_us(clock_us);
    samples.push_back(std::move(sample));
  }
  nlohmann::json report = Report(samples, decisions, table, flags.learned);
  report["table_seconds"] = table_time.count();
  report["entries"] = table.entries_size();
  report["noisy"] = noisy;
  report["baseline_us"] = clock_us;
  report["baseline_predicted_us"] =
      model.PredictUs(BaselinePlan(subject.space));
  return report;
}

int Main(int argc, char** argv) {
  Flags flags;
  CLI::App app("Predicted against measured latency of random plans");
  AddModelArgument(app, flags.model);
  app.add_option("--plans", flags.plans, "random plans")
      ->check(CLI::Range(2, 10000));
  app.add_option("--learned", flags.learned, "plans the agent's model sees");
  app.add_option("--seed", flags.seed, "of the plans");
  app.add_option("--core", flags.core, "core to pin to");
  CLI11_PARSE(app, argc, argv);
  const auto report = Study(flags);
  if (report.ok()) PrintJson(*report);
  if (!report.ok()) std::cerr << report.status().message() << "\n";
  return ExitCodeOf(report.status());
}

}  // namespace
}  // namespace lathe

int main(int argc, char** argv) { return lathe::Main(argc, argv); }

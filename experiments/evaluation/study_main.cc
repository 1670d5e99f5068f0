// lathe-evaluation-study MODEL --plans TRIALS --mode MODE: plays a recorded
// list of trials through one way of evaluating them. Prints a JSON object for
// each, with the processor seconds that it took; the first line of a way with a
// beginning of its own is trial 0. evaluation.py makes a table of several.
#include <CLI/CLI.hpp>
#include <cmath>
#include <ctime>
#include <fstream>
#include <iostream>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "agent/cost_model.h"
#include "agent/decisions.h"
#include "agent/finalists.h"
#include "agent/growing_frontier.h"
#include "base/memory.h"
#include "base/status.h"
#include "client/json_text.h"
#include "client/plan_json.h"
#include "client/worker/command.h"
#include "compressor/activation_stats.h"
#include "compressor/compression_settings.h"
#include "compressor/external_data.h"
#include "compressor/remembering_source.h"
#include "data/data_flags.h"
#include "evaluator/calibration_source.h"
#include "evaluator/evaluator.h"
#include "evaluator/executor.h"
#include "evaluator/first_look.h"
#include "evaluator/latency.h"
#include "evaluator/latency_table.h"
#include "experiments/evaluation/plain_loop.h"
#include "proto/fidelity.h"
#include "proto/plan.h"

namespace lathe {
namespace {

// Of the table that predictions come from.
constexpr int64_t kTableRounds = 20;
constexpr double kMostTableSeconds = 60;

// What looks can go without.
const char kRemembering[] = "remembering";
const char kLayers[] = "layers";

struct Flags {
  std::string model;
  std::string plans;
  std::string mode;
  int every = 1;
  std::set<std::string> without;
  DataFlags data;
};

// A trial of the recorded search.
struct Recorded {
  int64_t number = 0;
  v1::CompressionPlan plan;
  bool was_looked_at = false;
  double latency_ratio = 0;
  double kl_divergence = 0;
};

// Of all threads of this process; evaluations have one.
double ProcessorSeconds() {
  timespec now = {};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return now.tv_sec + 1e-9 * now.tv_nsec;
}

// Every `flags.every`-th of the lines of `lathe trials -o json`, without the
// original and trials that were not measured.
absl::StatusOr<std::vector<Recorded>> ReadTrials(const Flags& flags,
                                                 const v1::SearchSpace& space) {
  std::ifstream file(flags.plans);
  if (!file) return absl::NotFoundError(flags.plans + " cannot be read");
  std::vector<Recorded> trials;
  std::string line;
  int seen = 0;
  while (std::getline(file, line)) {
    LATHE_ASSIGN_OR_RETURN(const nlohmann::json trial, ParseJson(line));
    if (trial.value("state", "") != "MEASURED") continue;
    if (trial.value("trial", 0) == 0) continue;
    if (seen++ % flags.every != 0) continue;
    Recorded& recorded = trials.emplace_back();
    recorded.number = trial.value("trial", 0);
    LATHE_ASSIGN_OR_RETURN(recorded.plan, PlanFromJson(trial, space));
    recorded.was_looked_at = trial.contains("early_stop");
    recorded.latency_ratio = trial.value("latency_ratio", 0.0);
    recorded.kl_divergence = trial.value("kl_divergence", 0.0);
  }
  return trials;
}

nlohmann::json Row(int64_t number, const v1::Measurement& measurement,
                   double seconds) {
  return {{"trial", number},
          {"seconds", seconds},
          {"correct", measurement.correct()},
          {"samples", measurement.samples()},
          {"kl", measurement.kl_divergence()},
          {"latency_ratio", measurement.latency_ratio()},
          {"size_bytes", measurement.size_bytes()}};
}

void PrintRow(int64_t number, const v1::Measurement& measurement,
              double seconds) {
  nlohmann::json row = Row(number, measurement, seconds);
  if (measurement.has_early_stop()) {
    row["is_look"] = true;
    row["beaten_by"] = measurement.early_stop().beaten_by();
    row["confidence"] = measurement.early_stop().confidence();
  }
  PrintJson(row);
}

absl::Status PlayPlain(PlainLoop& loop, const std::vector<Recorded>& trials) {
  for (const Recorded& trial : trials) {
    const double start = ProcessorSeconds();
    LATHE_ASSIGN_OR_RETURN(const v1::Measurement measurement,
                           loop.Evaluate(trial.plan));
    PrintRow(trial.number, measurement, ProcessorSeconds() - start);
  }
  return absl::OkStatus();
}

// What was measured whole so far, as a server tells it to workers.
class Frontier {
 public:
  Frontier() : frontier_(std::vector<std::string>{"latency"}) {}

  void Add(const Recorded& recorded, const v1::Measurement& measurement) {
    v1::Trial trial;
    trial.set_number(recorded.number);
    trial.set_state(v1::TRIAL_MEASURED);
    *trial.mutable_measurement() = measurement;
    frontier_.Add(trial);
    v1::Rival& rival = rivals_[recorded.number];
    rival.set_number(recorded.number);
    *rival.mutable_plan() = recorded.plan;
    rival.set_latency_ratio(measurement.latency_ratio());
    rival.set_kl_divergence(measurement.kl_divergence());
  }

  v1::Rivals RivalsOf(double predicted_latency_ratio) const {
    v1::Rivals rivals;
    for (const int64_t number : frontier_.Numbers()) {
      *rivals.add_rivals() = rivals_.at(number);
    }
    rivals.set_predicted_latency_ratio(predicted_latency_ratio);
    rivals.set_predicted_latency_us(predicted_latency_ratio);
    rivals.set_counts_latency(true);
    return rivals;
  }

 private:
  GrowingFrontier frontier_;
  std::map<int64_t, v1::Rival> rivals_;
};

// The evaluator of workers, every trial measured whole.
absl::Status PlayProduct(Evaluator& evaluator,
                         const std::vector<Recorded>& trials) {
  for (const Recorded& trial : trials) {
    const double start = ProcessorSeconds();
    LATHE_ASSIGN_OR_RETURN(const Evaluation evaluation,
                           evaluator.Evaluate(trial.plan));
    PrintRow(trial.number, evaluation.measurement, ProcessorSeconds() - start);
  }
  return absl::OkStatus();
}

// Looks at every trial, and measures whole what a search loop would: now and
// then one, and at the end all that is worth it.
class Ladder {
 public:
  Ladder(Evaluator* evaluator, const std::vector<Recorded>& trials,
         Finalists* finalists)
      : evaluator_(*evaluator), finalists_(*finalists) {
    for (const Recorded& trial : trials) trials_[trial.number] = &trial;
  }

  absl::Status Play() {
    for (const auto& [number, trial] : trials_) {
      LATHE_RETURN_IF_ERROR(LookAt(*trial));
      if (!finalists_.IsOneDue()) continue;
      const std::vector<int64_t> chosen = finalists_.Choose();
      if (chosen.empty()) continue;
      LATHE_RETURN_IF_ERROR(MeasureWhole(*trials_.at(chosen[0])));
    }
    for (const int64_t number : finalists_.Choose()) {
      LATHE_RETURN_IF_ERROR(MeasureWhole(*trials_.at(number)));
    }
    return absl::OkStatus();
  }

 private:
  absl::Status LookAt(const Recorded& recorded) {
    const double start = ProcessorSeconds();
    LATHE_ASSIGN_OR_RETURN(
        const std::optional<v1::Measurement> looked,
        evaluator_.LookFirst(
            recorded.plan, frontier_.RivalsOf(*finalists_.PredictedLatencyRatio(
                               recorded.plan))));
    if (!looked.has_value()) return MeasureWhole(recorded);
    PrintRow(recorded.number, *looked, ProcessorSeconds() - start);
    finalists_.Add(TrialOf(recorded, *looked));
    return absl::OkStatus();
  }

  absl::Status MeasureWhole(const Recorded& recorded) {
    const double start = ProcessorSeconds();
    LATHE_ASSIGN_OR_RETURN(const Evaluation evaluation,
                           evaluator_.Evaluate(recorded.plan));
    PrintRow(recorded.number, evaluation.measurement,
             ProcessorSeconds() - start);
    frontier_.Add(recorded, evaluation.measurement);
    v1::Trial trial = TrialOf(recorded, evaluation.measurement);
    trial.mutable_proposal()->set_source(std::string(kWholePrefix));
    trial.set_number(recorded.number + kSecondNumbers);
    finalists_.Add(trial);
    return absl::OkStatus();
  }

  static v1::Trial TrialOf(const Recorded& recorded,
                           const v1::Measurement& measurement) {
    v1::Trial trial;
    trial.set_number(recorded.number);
    trial.set_state(v1::TRIAL_MEASURED);
    trial.set_plan_digest(PlanDigest(recorded.plan));
    *trial.mutable_proposal()->mutable_plan() = recorded.plan;
    *trial.mutable_measurement() = measurement;
    return trial;
  }

  // Of second measurements, beyond all of the recorded search.
  static constexpr int64_t kSecondNumbers = 1'000'000;

  Evaluator& evaluator_;
  std::map<int64_t, const Recorded*> trials_;
  Frontier frontier_;
  Finalists& finalists_;
};

absl::Status PlayEvaluator(Evaluator& evaluator,
                           const std::vector<Recorded>& trials,
                           bool has_looks) {
  const double begin = ProcessorSeconds();
  LATHE_ASSIGN_OR_RETURN(const BaselineEvaluation baseline,
                         evaluator.EvaluateBaseline());
  const v1::Measurement& original = baseline.evaluation.measurement;
  PrintRow(0, original, ProcessorSeconds() - begin);
  if (!has_looks) return PlayProduct(evaluator, trials);
  LATHE_ASSIGN_OR_RETURN(
      const std::unique_ptr<Finalists> finalists,
      Finalists::Make(baseline.report.space(), baseline.report.latency_table(),
                      original, {"latency"}));
  return Ladder(&evaluator, trials, finalists.get()).Play();
}

// What first looks need, beside what the plain loop has.
struct LookParts {
  LookParts(const PlainLoop& plain, int64_t most_remembered_bytes)
      : source(&plain.data().calibration.inputs,
               plain.data().calibration.samples, plain.graph().parts().opset),
        remembering(plain.graph(), source, most_remembered_bytes) {}

  CalibrationSource source;
  RememberingSource remembering;
  ActivationStats stats;
  std::unique_ptr<FirstLook> look;
};

absl::StatusOr<std::unique_ptr<LookParts>> MakeLook(
    const PlainLoop& plain, const v1::JobSpec& spec,
    const std::set<std::string>& without) {
  LATHE_ASSIGN_OR_RETURN(const CompressOptions options,
                         MakeCompressOptions(spec.compression()));
  auto parts = std::make_unique<LookParts>(
      plain, without.count(kRemembering) ? 0 : RememberingSource::kMostBytes);
  LATHE_ASSIGN_OR_RETURN(parts->stats,
                         CollectActivationStats(plain.graph(), parts->source,
                                                parts->source.SampleCount()));
  LATHE_ASSIGN_OR_RETURN(
      parts->look,
      FirstLook::Create(
          plain.graph(), plain.space(), plain.data(), parts->stats,
          parts->remembering, options, plain.search_answers(),
          without.count(kLayers) ? 0 : FirstLook::kMostSketchBytes));
  return parts;
}

// Whole first looks, and nothing else: what a sketch tells, and what it takes.
absl::Status PlayLooks(FirstLook& look, const std::vector<Recorded>& trials) {
  for (const Recorded& trial : trials) {
    const double start = ProcessorSeconds();
    LATHE_ASSIGN_OR_RETURN(const Look* seen, look.At(trial.plan));
    v1::Measurement measurement;
    measurement.set_correct(seen->correct);
    measurement.set_samples(static_cast<int64_t>(seen->losses.size()));
    measurement.set_kl_divergence(seen->kl_divergence);
    PrintRow(trial.number, measurement, ProcessorSeconds() - start);
  }
  return absl::OkStatus();
}

// Looks that end as soon as one of the recorded plans that were measured whole
// is surely better.
absl::Status PlayJudgements(FirstLook& look,
                            const std::vector<Recorded>& trials) {
  Frontier frontier;
  for (const Recorded& trial : trials) {
    if (trial.was_looked_at) continue;
    v1::Measurement measured;
    measured.set_latency_ratio(trial.latency_ratio);
    measured.set_kl_divergence(trial.kl_divergence);
    measured.set_accuracy(std::exp(-trial.kl_divergence));
    frontier.Add(trial, measured);
  }
  for (const Recorded& trial : trials) {
    if (!trial.was_looked_at) continue;
    const double start = ProcessorSeconds();
    LATHE_ASSIGN_OR_RETURN(
        const v1::Measurement judged,
        look.Judge(trial.plan, frontier.RivalsOf(trial.latency_ratio)));
    PrintRow(trial.number, judged, ProcessorSeconds() - start);
  }
  return absl::OkStatus();
}

// What it would take to time every look beside the original, by few calls.
absl::Status PlayTimings(const PlainLoop& plain, FirstLook& look,
                         const std::vector<Recorded>& trials) {
  LatencyOptions options;
  options.warm_up = 2;
  options.least_repeats = 15;
  options.most_repeats = 30;
  options.interval_width = 0.06;
  options.most_seconds = 0.1;
  const std::vector<int64_t> sample = {plain.data().search.samples[0]};
  LATHE_ASSIGN_OR_RETURN(const std::unique_ptr<Executor> original,
                         Executor::Compile(plain.graph(), {}));
  LATHE_RETURN_IF_ERROR(
      plain.data().search.inputs.Fill(sample, original.get()));
  for (const Recorded& trial : trials) {
    LATHE_ASSIGN_OR_RETURN(const Graph sketch, look.Sketch(trial.plan));
    const double start = ProcessorSeconds();
    LATHE_ASSIGN_OR_RETURN(const std::unique_ptr<Executor> executor,
                           Executor::Compile(sketch, {}));
    LATHE_RETURN_IF_ERROR(
        plain.data().search.inputs.Fill(sample, executor.get()));
    LATHE_ASSIGN_OR_RETURN(
        const LatencyComparison comparison,
        CompareLatency(TimeRuns(executor.get(), /*threads=*/1),
                       TimeRuns(original.get(), /*threads=*/1), options));
    v1::Measurement measurement;
    measurement.set_latency_ratio(comparison.ratio);
    PrintRow(trial.number, measurement, ProcessorSeconds() - start);
  }
  return absl::OkStatus();
}

// What the table of single layers says that the plans take: latencies that were
// measured at different times tell machines apart as well as plans.
absl::Status PlayPredictions(const PlainLoop& plain,
                             const std::vector<Recorded>& trials) {
  CalibrationSource source(&plain.data().calibration.inputs,
                           plain.data().calibration.samples,
                           plain.graph().parts().opset);
  LATHE_ASSIGN_OR_RETURN(
      const ActivationStats stats,
      CollectActivationStats(plain.graph(), source, source.SampleCount()));
  LatencyTableOptions options;
  options.rounds = kTableRounds;
  options.most_seconds = kMostTableSeconds;
  LATHE_ASSIGN_OR_RETURN(
      const v1::LatencyTable table,
      BuildLatencyTable(plain.graph(), plain.space(), stats, source, options));
  LATHE_ASSIGN_OR_RETURN(const DecisionSpace space,
                         DecisionSpace::Make(plain.space()));
  const std::vector<int> original(space.size(), 0);
  v1::Measurement baseline;
  baseline.set_latency_us(1);
  const CostModel costs(&space, table, baseline);
  for (const Recorded& trial : trials) {
    const std::optional<Choices> choices = space.FromPlan(trial.plan);
    if (!choices.has_value()) continue;
    PrintJson({{"trial", trial.number},
               {"latency_ratio",
                costs.LatencyUs(*choices) / costs.LatencyUs(original)}});
  }
  return absl::OkStatus();
}

absl::Status Study(const Flags& flags) {
  SetThreads(1);
  LATHE_ASSIGN_OR_RETURN(const LoadedData data, LoadData(flags.data));
  LATHE_ASSIGN_OR_RETURN(const std::string model, ReadModelFile(flags.model));
  v1::JobSpec spec;
  *spec.mutable_dataset() = data.spec;
  LATHE_ASSIGN_OR_RETURN(const std::unique_ptr<PlainLoop> plain,
                         PlainLoop::Open(model, data.datasets, spec));
  LATHE_ASSIGN_OR_RETURN(const std::vector<Recorded> trials,
                         ReadTrials(flags, plain->space()));
  if (flags.mode == "plain") return PlayPlain(*plain, trials);
  if (flags.mode == "predictions") return PlayPredictions(*plain, trials);
  if (flags.mode == "looks" || flags.mode == "judged" ||
      flags.mode == "timings") {
    const double begin = ProcessorSeconds();
    LATHE_ASSIGN_OR_RETURN(const std::unique_ptr<LookParts> looks,
                           MakeLook(*plain, spec, flags.without));
    std::cerr << "getting ready for first looks took "
              << ProcessorSeconds() - begin << " s\n";
    if (flags.mode == "judged") return PlayJudgements(*looks->look, trials);
    if (flags.mode == "timings") {
      return PlayTimings(*plain, *looks->look, trials);
    }
    return PlayLooks(*looks->look, trials);
  }
  LATHE_ASSIGN_OR_RETURN(
      const std::unique_ptr<Evaluator> evaluator,
      OpenOneDnnEvaluator(model, data.datasets, spec,
                          /*activation_stats=*/"", EvaluatorOptions()));
  return PlayEvaluator(*evaluator, trials, flags.mode == "ladder");
}

int Main(int argc, char** argv) {
  Flags flags;
  CLI::App app("What evaluating recorded plans takes");
  AddModelArgument(app, flags.model);
  app.add_option("--plans", flags.plans, "lines of `lathe trials -o json`")
      ->required();
  app.add_option("--mode", flags.mode, "how plans are evaluated")
      ->check(CLI::IsMember({"plain", "product", "looks", "judged", "timings",
                             "ladder", "predictions"}))
      ->required();
  app.add_option("--every", flags.every, "plays every so many-th trial only")
      ->check(CLI::Range(1, 1000000));
  app.add_option("--without", flags.without, "what looks do not keep")
      ->delimiter(',')
      ->check(CLI::IsMember({kRemembering, kLayers}));
  AddDataFlags(app, flags.data);
  CLI11_PARSE(app, argc, argv);
  KeepFreedMemory();
  const absl::Status status = Study(flags);
  if (!status.ok()) std::cerr << status.message() << "\n";
  return ExitCodeOf(status);
}

}  // namespace
}  // namespace lathe

int main(int argc, char** argv) { return lathe::Main(argc, argv); }

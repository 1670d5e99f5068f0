// lathe-make-table: measures every configuration of a network cut into segments
// and writes them as a table (experiments/tables/README.md). Activations of a
// segment are computed once for all configurations that agree up to there;
// latency is measured on the whole network of each, against the first one's.
// Stops after --seconds at the next part and goes on there when run again.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <memory>
#include <numeric>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/digest.h"
#include "base/file.h"
#include "base/status.h"
#include "compressor/cost.h"
#include "compressor/model_file.h"
#include "data/data_flags.h"
#include "evaluator/accuracy.h"
#include "evaluator/calibration_source.h"
#include "evaluator/executor.h"
#include "evaluator/latency.h"
#include "evaluator/model_inputs.h"
#include "experiments/compression_bench/segment_runner.h"
#include "experiments/compression_bench/segment_space.h"
#include "experiments/compression_bench/table_file.h"

namespace lathe {
namespace {

constexpr int64_t kBatch = 32;

struct Flags {
  std::string model;
  std::string to;
  std::vector<std::string> choices = {"8:1", "8:0.5", "8:0.25",
                                      "4:1", "4:0.5", "4:0.25",
                                      "3:1", "3:0.5", "3:0.25"};
  int64_t samples = 1000;
  int64_t calibration = 256;
  double reference_share = 0.5;
  double seconds = 1e9;
  DataFlags data;
};

class TableMaker {
 public:
  static absl::StatusOr<std::unique_ptr<TableMaker>> Make(const Flags& flags);

  // Measures the parts that are not there yet. Whether all are there now.
  absl::StatusOr<bool> Measure();
  absl::Status Finish();

 private:
  TableMaker() = default;
  absl::Status Prepare();
  // A folder for each model, data and choices: parts of others are not mixed
  // in.
  std::string PartFolder() const {
    return absl::StrCat(flags_.to, ".parts/", settings_.substr(0, 16));
  }
  std::string PartPath(size_t first) const {
    return absl::StrCat(PartFolder(), "/", first, ".npz");
  }
  // All configurations that begin with the choices so far, whose last
  // segment left `activations`.
  absl::Status Walk(std::vector<size_t>* choices,
                    const std::vector<float>& activations, TablePart* part);
  absl::Status Evaluate(const std::vector<size_t>& choices,
                        std::vector<float> outputs, TablePart* part);
  absl::StatusOr<Graph> Whole(const std::vector<size_t>& choices) const;

  Flags flags_;
  // Digest of all that the parts depend on.
  std::string settings_;
  LoadedData data_;
  std::vector<int64_t> samples_;
  std::vector<int64_t> labels_;
  std::vector<SegmentDecision> decisions_;
  std::vector<std::vector<SegmentRunner>> runners_;
  std::vector<float> inputs_;
  Answers reference_;
  bool ends_in_softmax_ = false;
  std::unique_ptr<Executor> first_;
  double first_bytes_ = 1;
};

std::vector<int64_t> Range(int64_t first, int64_t count) {
  std::vector<int64_t> samples(count);
  std::iota(samples.begin(), samples.end(), first);
  return samples;
}

absl::StatusOr<std::unique_ptr<TableMaker>> TableMaker::Make(
    const Flags& flags) {
  std::unique_ptr<TableMaker> maker(new TableMaker());
  maker->flags_ = flags;
  LATHE_RETURN_IF_ERROR(maker->Prepare());
  return maker;
}

absl::Status TableMaker::Prepare() {
  LATHE_ASSIGN_OR_RETURN(data_, LoadData(flags_.data));
  const Dataset& dataset = data_.datasets.at(data_.spec.digest());
  const std::string& other = data_.spec.calibration_digest();
  const Dataset& calibration =
      other.empty() ? dataset : data_.datasets.at(other);
  LATHE_ASSIGN_OR_RETURN(const std::string bytes, ReadFile(flags_.model));
  settings_ = Sha256Hex(absl::StrCat(
      Sha256Hex(bytes), data_.spec.SerializeAsString(), flags_.calibration, " ",
      flags_.samples, " ", absl::StrJoin(flags_.choices, ",")));
  LATHE_ASSIGN_OR_RETURN(const Graph graph, OpenModel(bytes));
  LATHE_ASSIGN_OR_RETURN(const ModelInputs inputs,
                         ModelInputs::Bind(graph, &dataset, data_.spec));
  LATHE_ASSIGN_OR_RETURN(const ModelInputs calibration_inputs,
                         ModelInputs::Bind(graph, &calibration, data_.spec));
  // Calibration comes from the front where there is but one set.
  const int64_t skipped = other.empty() ? flags_.calibration : 0;
  if (dataset.SampleCount() < skipped + flags_.samples) {
    return absl::InvalidArgumentError(
        absl::StrCat("the data have ", dataset.SampleCount(),
                     " samples; --calibration and --samples ask for ",
                     skipped + flags_.samples));
  }
  samples_ = Range(skipped, flags_.samples);
  for (const int64_t i : samples_) labels_.push_back(dataset.labels[i]);
  CalibrationSource source(&calibration_inputs, Range(0, flags_.calibration),
                           graph.parts().opset);
  std::vector<SegmentChoice> choices;
  for (const std::string& text : flags_.choices) {
    LATHE_ASSIGN_OR_RETURN(choices.emplace_back(), ParseSegmentChoice(text));
  }
  LATHE_ASSIGN_OR_RETURN(decisions_,
                         MakeSegmentDecisions(graph, choices, source));
  for (const SegmentDecision& decision : decisions_) {
    std::vector<SegmentRunner>& runners = runners_.emplace_back();
    for (const Graph& part : decision.graphs) {
      LATHE_ASSIGN_OR_RETURN(SegmentRunner runner,
                             SegmentRunner::Make(part, kBatch));
      runners.push_back(std::move(runner));
    }
  }
  LATHE_ASSIGN_OR_RETURN(reference_, Answer(graph, inputs, samples_));
  ends_in_softmax_ = EndsInSoftmax(graph);
  LATHE_ASSIGN_OR_RETURN(const std::vector<Tensor> tensors,
                         inputs.Tensors(samples_));
  const auto values = tensors[0].values<float>();
  inputs_.assign(values.begin(), values.end());
  const std::vector<size_t> uncompressed(decisions_.size(), 0);
  LATHE_ASSIGN_OR_RETURN(const Graph whole, Whole(uncompressed));
  LATHE_ASSIGN_OR_RETURN(const ModelCost cost, ComputeCost(whole));
  first_bytes_ = static_cast<double>(cost.packed_bytes);
  LATHE_ASSIGN_OR_RETURN(first_, Executor::Compile(whole, {1}));
  return inputs.Fill({samples_.data(), 1}, first_.get());
}

absl::StatusOr<Graph> TableMaker::Whole(
    const std::vector<size_t>& choices) const {
  std::vector<const Graph*> parts;
  for (size_t d = 0; d < choices.size(); ++d) {
    parts.push_back(&decisions_[d].graphs[choices[d]]);
  }
  return Concatenate(parts);
}

// The middle one of three, since what else runs on the machine comes in bursts
// that may last as long as one comparison.
absl::StatusOr<float> LatencyRatio(Executor* executor, Executor* first) {
  LatencyOptions options;
  options.least_repeats = 20;
  options.most_repeats = 400;
  options.interval_width = 0.02;
  std::array<double, 3> ratios{};
  for (double& ratio : ratios) {
    LATHE_ASSIGN_OR_RETURN(
        const LatencyComparison comparison,
        CompareLatency(TimeRuns(executor, 1), TimeRuns(first, 1), options));
    ratio = comparison.ratio;
  }
  std::sort(ratios.begin(), ratios.end());
  return static_cast<float>(ratios[1]);
}

absl::Status TableMaker::Evaluate(const std::vector<size_t>& choices,
                                  std::vector<float> outputs, TablePart* part) {
  Answers answers;
  answers.classes = reference_.classes;
  answers.log_probabilities = std::move(outputs);
  ToLogProbabilities(ends_in_softmax_, answers.classes,
                     absl::MakeSpan(answers.log_probabilities));
  const Accuracy accuracy = Score(answers, reference_, labels_);
  part->kl_divergence.push_back(static_cast<float>(accuracy.kl_divergence));
  part->accuracy.push_back(static_cast<float>(accuracy.correct) /
                           static_cast<float>(accuracy.samples));
  LATHE_ASSIGN_OR_RETURN(const Graph whole, Whole(choices));
  LATHE_ASSIGN_OR_RETURN(const ModelCost cost, ComputeCost(whole));
  part->size_ratio.push_back(static_cast<float>(
      static_cast<double>(cost.packed_bytes) / first_bytes_));
  LATHE_ASSIGN_OR_RETURN(const std::unique_ptr<Executor> executor,
                         Executor::Compile(whole, {1}));
  std::copy_n(static_cast<const float*>(first_->input(0)),
              ElementCount(first_->input_shapes()[0]),
              static_cast<float*>(executor->input(0)));
  LATHE_ASSIGN_OR_RETURN(const float ratio,
                         LatencyRatio(executor.get(), first_.get()));
  part->latency_ratio.push_back(ratio);
  return absl::OkStatus();
}

absl::Status TableMaker::Walk(std::vector<size_t>* choices,
                              const std::vector<float>& activations,
                              TablePart* part) {
  const size_t d = choices->size();
  for (size_t c = 0; c < decisions_[d].choices.size(); ++c) {
    LATHE_ASSIGN_OR_RETURN(
        std::vector<float> outputs,
        runners_[d][c].Run(activations, static_cast<int64_t>(samples_.size())));
    choices->push_back(c);
    if (d + 1 == decisions_.size()) {
      LATHE_RETURN_IF_ERROR(Evaluate(*choices, std::move(outputs), part));
    } else {
      LATHE_RETURN_IF_ERROR(Walk(choices, outputs, part));
    }
    choices->pop_back();
  }
  return absl::OkStatus();
}

absl::StatusOr<bool> TableMaker::Measure() {
  LATHE_RETURN_IF_ERROR(MakeFolders(PartFolder()));
  const auto start = std::chrono::steady_clock::now();
  const size_t seconds = decisions_[1].choices.size();
  const size_t parts = decisions_[0].choices.size() * seconds;
  for (size_t i = 0; i < parts; ++i) {
    if (FileExists(PartPath(i))) continue;
    if (std::chrono::duration<double>(std::chrono::steady_clock::now() - start)
            .count() > flags_.seconds) {
      std::fprintf(stderr, "%zu of %zu parts; run again to go on\n", i, parts);
      return false;
    }
    std::vector<size_t> choices = {i / seconds, i % seconds};
    const auto count = static_cast<int64_t>(samples_.size());
    LATHE_ASSIGN_OR_RETURN(std::vector<float> first,
                           runners_[0][choices[0]].Run(inputs_, count));
    LATHE_ASSIGN_OR_RETURN(const std::vector<float> second,
                           runners_[1][choices[1]].Run(first, count));
    TablePart part;
    LATHE_RETURN_IF_ERROR(Walk(&choices, second, &part));
    LATHE_RETURN_IF_ERROR(WritePart(PartPath(i), part));
  }
  return true;
}

absl::Status TableMaker::Finish() {
  TablePart all;
  const size_t parts =
      decisions_[0].choices.size() * decisions_[1].choices.size();
  for (size_t i = 0; i < parts; ++i) {
    LATHE_ASSIGN_OR_RETURN(const TablePart part, ReadPart(PartPath(i)));
    all.Append(part);
  }
  return WriteTable(flags_.to, decisions_, all, flags_.reference_share);
}

absl::Status Run(const Flags& flags) {
  SetThreads(1);
  LATHE_ASSIGN_OR_RETURN(const std::unique_ptr<TableMaker> maker,
                         TableMaker::Make(flags));
  LATHE_ASSIGN_OR_RETURN(const bool is_complete, maker->Measure());
  return is_complete ? maker->Finish() : absl::OkStatus();
}

}  // namespace
}  // namespace lathe

int main(int argc, char** argv) {
  CLI::App app{"Measures every configuration of a network cut into segments"};
  lathe::Flags flags;
  app.add_option("MODEL", flags.model, "ONNX file")->required();
  app.add_option("--to", flags.to, "the table, an .npz")->required();
  app.add_option("--choices", flags.choices,
                 "BITS:KEEP of a segment, the uncompressed one first")
      ->delimiter(',');
  app.add_option("--samples", flags.samples, "samples that accuracy is of");
  app.add_option("--calibration-samples", flags.calibration);
  app.add_option("--reference-share", flags.reference_share,
                 "quality that is worth nothing, as a share of the first's");
  app.add_option("--seconds", flags.seconds,
                 "stop at the next part after this");
  lathe::AddDataFlags(app, flags.data);
  CLI11_PARSE(app, argc, argv);
  const absl::Status status = lathe::Run(flags);
  if (status.ok()) return 0;
  std::fprintf(stderr, "lathe-make-table: %s\n", status.ToString().c_str());
  return 1;
}

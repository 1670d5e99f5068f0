// What a script would do with one plan after another.
#ifndef LATHE_EXPERIMENTS_EVALUATION_PLAIN_LOOP_H_
#define LATHE_EXPERIMENTS_EVALUATION_PLAIN_LOOP_H_

#include <map>
#include <memory>
#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "compressor/compress.h"
#include "compressor/graph.h"
#include "data/dataset.h"
#include "evaluator/accuracy.h"
#include "evaluator/executor.h"
#include "evaluator/job_data.h"
#include "proto/types.pb.h"

namespace lathe {

// Quantises, compiles and evaluates every plan from the beginning: calibration,
// the scores of channels, every layer, every sample of the search and report
// splits, the latency beside the original's. Only the original's own answers
// and kernels are made once, as any script would. The compressor, the engine
// and their settings are the product's. Not thread-safe.
class PlainLoop {
 public:
  // Errors: those of OpenModel, MakeSearchSpace and OpenJobData.
  static absl::StatusOr<std::unique_ptr<PlainLoop>> Open(
      absl::string_view model, std::map<std::string, Dataset> datasets,
      const v1::JobSpec& spec);

  const Graph& graph() const { return graph_; }
  const v1::SearchSpace& space() const { return space_; }
  const JobData& data() const { return *data_; }
  // The original's.
  const Answers& search_answers() const { return search_; }

  // Sets accuracy, divergence, latency and file size, of both splits.
  //
  // Errors: those of Compress and Executor::Compile.
  absl::StatusOr<v1::Measurement> Evaluate(const v1::CompressionPlan& plan);

 private:
  PlainLoop(Graph graph, v1::SearchSpace space, std::unique_ptr<JobData> data)
      : graph_(std::move(graph)),
        space_(std::move(space)),
        data_(std::move(data)) {}

  absl::Status AnswerOriginal();
  absl::Status SetLatency(const Graph& graph, v1::Measurement* measurement);

  const Graph graph_;
  const v1::SearchSpace space_;
  const std::unique_ptr<JobData> data_;
  Answers search_;
  Answers report_;
  std::unique_ptr<Executor> original_;
};

}  // namespace lathe

#endif  // LATHE_EXPERIMENTS_EVALUATION_PLAIN_LOOP_H_

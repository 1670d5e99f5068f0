// What the studies of compression share: a network, its data, and a line for
// each combination.
#ifndef LATHE_EXPERIMENTS_COMPRESSION_STUDY_H_
#define LATHE_EXPERIMENTS_COMPRESSION_STUDY_H_

#include <ctime>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "compressor/graph.h"
#include "compressor/remembering_source.h"
#include "data/data_flags.h"
#include "evaluator/accuracy.h"
#include "evaluator/calibration_source.h"
#include "evaluator/job_data.h"

namespace CLI {
class App;
}

namespace lathe {

struct StudyFlags {
  std::string model;
  DataFlags data;
};

// Adds the model and the data flags; `flags` must outlive the parse.
void AddStudyFlags(CLI::App& app, StudyFlags& flags);

// Everything that does not depend on the combination. Not thread-safe.
class Study {
 public:
  static absl::StatusOr<std::unique_ptr<Study>> Open(const StudyFlags& flags);

  const Graph& graph() const { return graph_; }
  // Of the batch norms in the file (batch_norm_scores.h).
  const std::map<std::string, std::vector<float>>& gammas() const {
    return gammas_;
  }
  ActivationSource& source() { return remembering_; }
  const Answers& reference() const { return reference_; }
  int64_t macs() const { return macs_; }

  // Answers all samples of the search split.
  absl::StatusOr<Accuracy> AccuracyOf(const Graph& graph) const;

 private:
  Study(Graph graph, std::unique_ptr<JobData> data);

  const Graph graph_;
  const std::unique_ptr<JobData> data_;
  std::map<std::string, std::vector<float>> gammas_;
  CalibrationSource source_;
  RememberingSource remembering_;
  Answers reference_;
  int64_t macs_ = 0;
};

// Of this process, on one thread.
double CpuSecondsSince(std::clock_t start);

// correct / samples.
double ShareOf(const Accuracy& accuracy);

// Parses the arguments and runs; the exit code of main().
int RunStudy(CLI::App& app, int argc, char** argv,
             const std::function<absl::Status()>& run);

}  // namespace lathe

#endif  // LATHE_EXPERIMENTS_COMPRESSION_STUDY_H_

// A job's samples, split and bound to its model.
#ifndef LATHE_EVALUATOR_JOB_DATA_H_
#define LATHE_EVALUATOR_JOB_DATA_H_

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "compressor/graph.h"
#include "data/dataset.h"
#include "evaluator/model_inputs.h"
#include "proto/types.pb.h"

namespace lathe {

// Samples that serve one purpose.
struct DataPart {
  ModelInputs inputs;
  // Indices in inputs.dataset().
  std::vector<int64_t> samples;
  // One a sample; empty when there are none.
  std::vector<int64_t> labels;
};

// Immutable. Held by pointer: the parts point into `datasets`.
struct JobData {
  std::map<std::string, Dataset> datasets;  // By digest.
  DataPart calibration;
  DataPart search;
  DataPart confirmation;
  DataPart report;
};

// Splits the data as `spec` says and checks them against the model.
//
// Errors:
//   InvalidArgument - a blob that is not in `datasets`, what SplitDataset and
//     ModelInputs refuse, no calibration or search samples, labels that the
//     model's output does not have, labels in only some of search, confirmation
//     and report.
absl::StatusOr<std::unique_ptr<JobData>> OpenJobData(
    const Graph& graph, std::map<std::string, Dataset> datasets,
    const v1::DatasetSpec& spec);

}  // namespace lathe

#endif  // LATHE_EVALUATOR_JOB_DATA_H_

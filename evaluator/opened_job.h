// A job's model, data and settings, checked.
#ifndef LATHE_EVALUATOR_OPENED_JOB_H_
#define LATHE_EVALUATOR_OPENED_JOB_H_

#include <map>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "compressor/compress.h"
#include "compressor/graph.h"
#include "data/dataset.h"
#include "evaluator/job_data.h"
#include "proto/types.pb.h"

namespace lathe {

struct OpenedJob {
  Graph graph;
  v1::SearchSpace space;
  std::unique_ptr<JobData> data;
  CompressOptions compress;
};

// What the evaluator works on: the model with the job's batch, its search space
// on this processor, the samples of each split.
//
// Errors: those of ModelFault for the model; InvalidArgument - a batch that the
// model does not take, what MakeCompressOptions, MakeSpaceOptions and
// OpenJobData refuse.
absl::StatusOr<OpenedJob> OpenJob(absl::string_view model,
                                  std::map<std::string, Dataset> datasets,
                                  const v1::JobSpec& spec);

// The error of the original model, named so. It cannot be wrong in a way that
// other machines would not see, so OutOfRange and FailedPrecondition become
// InvalidArgument: it is the input that is at fault.
absl::Status ModelFault(const absl::Status& status);

}  // namespace lathe

#endif  // LATHE_EVALUATOR_OPENED_JOB_H_

// What single choices cost, when all other layers stay as they are.
#ifndef LATHE_EVALUATOR_SENSITIVITY_H_
#define LATHE_EVALUATOR_SENSITIVITY_H_

#include <cstdint>
#include <functional>

#include "absl/status/statusor.h"
#include "compressor/activation_source.h"
#include "compressor/activation_stats.h"
#include "compressor/compress.h"
#include "compressor/graph.h"
#include "evaluator/job_data.h"
#include "proto/types.pb.h"

namespace lathe {

struct SensitivityOptions {
  // Of the search split, spread over it; fewer where activations of the
  // original would take more than `most_bytes`.
  int64_t samples = 512;
  int64_t most_bytes = int64_t{1} << 30;
  CompressOptions compress;
  // How the plan of a choice is carried out. Empty: by Compress with
  // `compress`.
  std::function<absl::StatusOr<Graph>(const v1::CompressionPlan&)> carry_out;
  // Asked before each choice; once it says true, nothing more is measured.
  // Empty: there is time for all.
  std::function<bool()> is_time_over;
};

// One entry for each layer and each of its precisions, and for each group and
// each of its keep ratios, but for the first ones, in the order of the space.
// The original's activations are computed once; for a choice only what comes
// behind the change runs, with the kernels that the choice would get; all of it
// where a grid belongs to a call (INT8_DYNAMIC), sample by sample as accuracy
// is measured. A choice that cannot be carried out has no entry.
//
// Measured in an order in which every layer has had one choice before any has a
// second one, those in the middle of its list first, so that a table whose time
// was over says something of every layer.
//
// `space` is MakeSearchSpace(graph, ...), `stats` are the graph's. Every choice
// is compressed beside the original: `source` should remember
// (remembering_source.h).
// Errors: those of the source and of Executor::Compile for the original.
absl::StatusOr<v1::Sensitivity> MeasureSensitivity(
    const Graph& graph, const v1::SearchSpace& space, const JobData& data,
    const ActivationStats& stats, ActivationSource& source,
    const SensitivityOptions& options);

}  // namespace lathe

#endif  // LATHE_EVALUATOR_SENSITIVITY_H_

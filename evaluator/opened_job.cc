#include "evaluator/opened_job.h"

#include <algorithm>
#include <cstdint>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "compressor/batch_norm_scores.h"
#include "compressor/compression_settings.h"
#include "compressor/model_file.h"
#include "compressor/onnx.h"
#include "compressor/search_space.h"
#include "compressor/shape_inference.h"
#include "evaluator/executor.h"
#include "evaluator/model_inputs.h"

namespace lathe {
namespace {

// Whether the model takes the job's batch.
absl::Status CheckBatch(const Graph& graph, int64_t batch) {
  const std::optional<int64_t> fixed = FixedBatch(graph);
  if (!fixed.has_value() || *fixed == batch) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("the model is made for a batch of ", *fixed, ", not ", batch,
                   "; ask for a batch of ", *fixed));
}

// Settings that make sense, for a model as it came.
absl::StatusOr<CompressOptions> OpenOptions(
    absl::string_view model, const v1::CompressionSettings& settings) {
  LATHE_ASSIGN_OR_RETURN(CompressOptions options,
                         MakeCompressOptions(settings));
  if (options.prune.criterion == PruneCriterion::kGamma) {
    const auto parsed = ParseOnnx(model);
    if (!parsed.ok()) return ModelFault(parsed.status());
    options.prune.gammas = BatchNormScales(*parsed);
  }
  return options;
}

// The job's model: its batch, and the sizes of its samples where the model
// leaves them open.
absl::StatusOr<Graph> OpenForJob(absl::string_view bytes,
                                 const std::map<std::string, Dataset>& datasets,
                                 const v1::JobSpec& spec) {
  const auto whole = datasets.find(spec.dataset().digest());
  auto graph =
      whole == datasets.end()
          ? OpenModel(bytes)
          : OpenModel(bytes, ShapesOfData(&whole->second, spec.dataset()));
  if (!graph.ok()) return graph;
  LATHE_RETURN_IF_ERROR(CheckBatch(*graph, std::max(1, spec.batch())));
  return graph;
}

}  // namespace

absl::Status ModelFault(const absl::Status& status) {
  if (status.code() != absl::StatusCode::kOutOfRange &&
      status.code() != absl::StatusCode::kFailedPrecondition) {
    return Annotate(status, "model");
  }
  return absl::InvalidArgumentError(absl::StrCat("model: ", status.message()));
}

absl::StatusOr<OpenedJob> OpenJob(absl::string_view model,
                                  std::map<std::string, Dataset> datasets,
                                  const v1::JobSpec& spec) {
  LATHE_ASSIGN_OR_RETURN(const CompressOptions compress,
                         OpenOptions(model, spec.compression()));
  LATHE_ASSIGN_OR_RETURN(const SpaceOptions space_options,
                         MakeSpaceOptions(spec.compression(), HasNativeBf16()));
  auto graph = OpenForJob(model, datasets, spec);
  if (!graph.ok()) return ModelFault(graph.status());
  auto space = MakeSearchSpace(*graph, space_options);
  if (!space.ok()) return ModelFault(space.status());
  auto data = OpenJobData(*graph, std::move(datasets), spec.dataset());
  if (!data.ok()) return Annotate(data.status(), "data");
  return OpenedJob{*std::move(graph), *std::move(space), *std::move(data),
                   compress};
}

}  // namespace lathe

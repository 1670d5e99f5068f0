#include "client/cli/job_inputs.h"

#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/digest.h"
#include "base/status.h"
#include "client/blobs.h"
#include "client/cli/exit_code.h"
#include "compressor/compression_settings.h"
#include "compressor/external_data.h"
#include "compressor/model_file.h"
#include "compressor/search_space.h"
#include "compressor/shape_inference.h"
#include "data/split.h"

namespace lathe {
namespace {

// What of the model the data must fit.
struct ModelForm {
  struct Input {
    std::string name;
    Shape shape;
  };
  std::vector<Input> inputs;
  // Width of a sole two-dimensional output: the number of classes; 0 when the
  // output has another form.
  int64_t classes = 0;
};

// The sizes that the model leaves open are those of the data.
absl::StatusOr<Graph> OpenForData(const std::string& model_bytes,
                                  const LoadedData& data) {
  const Dataset& whole = data.datasets.at(data.spec.digest());
  const auto shape_of = [&](const Graph& graph,
                            const Value& input) -> absl::StatusOr<Shape> {
    LATHE_ASSIGN_OR_RETURN(
        const Array* array,
        FindArray(whole, input.name, graph.inputs().size() == 1));
    return FitShape(*array, input.shape, data.spec);
  };
  return OpenModel(model_bytes, shape_of);
}

absl::StatusOr<ModelForm> ReadForm(const absl::StatusOr<Graph>& opened,
                                   int64_t batch) {
  LATHE_ASSIGN_OR_RETURN(const Graph graph, opened);
  LATHE_ASSIGN_OR_RETURN(const std::vector<Shape> shapes,
                         InputShapes(graph, batch));
  LATHE_ASSIGN_OR_RETURN(const std::vector<ValueInfo> values,
                         InferShapes(graph, shapes));
  ModelForm form;
  for (size_t i = 0; i < shapes.size(); ++i) {
    form.inputs.push_back({graph.value(graph.inputs()[i]).name, shapes[i]});
  }
  if (graph.outputs().size() == 1) {
    const Shape& shape = values[graph.outputs()[0]].shape;
    if (shape.size() == 2) form.classes = shape[1];
  }
  return form;
}

// Whether the rules that leave layers alone fit layers.
absl::Status CheckRules(const Graph& graph,
                        const v1::CompressionSettings& settings) {
  LATHE_ASSIGN_OR_RETURN(const SpaceOptions options,
                         MakeSpaceOptions(settings, /*has_bf16=*/false));
  if (options.rules.keep_f32.empty() && options.rules.keep_channels.empty()) {
    return absl::OkStatus();
  }
  return MakeSearchSpace(graph, options).status();
}

absl::Status CheckData(const Dataset& dataset, const ModelForm& form,
                       const v1::DatasetSpec& spec) {
  if (dataset.SampleCount() == 0) {
    return absl::InvalidArgumentError("the data have no samples");
  }
  for (const ModelForm::Input& input : form.inputs) {
    LATHE_ASSIGN_OR_RETURN(
        const Array* array,
        FindArray(dataset, input.name, form.inputs.size() == 1));
    const int64_t first[] = {0};
    LATHE_RETURN_IF_ERROR(
        Annotate(MakeInput(*array, first, input.shape, spec).status(),
                 absl::StrCat("input ", input.name)));
  }
  if (form.classes > 0 && !dataset.labels.empty()) {
    return CheckLabels(dataset, form.classes);
  }
  return absl::OkStatus();
}

absl::Status CheckAllData(const LoadedData& data, const ModelForm& form) {
  const Dataset& whole = data.datasets.at(data.spec.digest());
  LATHE_RETURN_IF_ERROR(Annotate(
      SplitDataset(whole.SampleCount(), whole.labels, data.spec).status(),
      "--data"));
  for (const auto& [digest, dataset] : data.datasets) {
    LATHE_RETURN_IF_ERROR(
        Annotate(CheckData(dataset, form, data.spec), "--data"));
  }
  return absl::OkStatus();
}

// A file that is there but no good has failed; one that is missing, or may not
// be read, keeps its own exit code.
absl::Status Blamed(const absl::Status& status) {
  if (absl::IsNotFound(status) || absl::IsPermissionDenied(status)) {
    return status;
  }
  return WithExitCode(status, kExitFailed);
}

}  // namespace

absl::StatusOr<JobInputs> ReadJobInputs(const JobFlags& flags) {
  JobInputs inputs;
  LATHE_ASSIGN_OR_RETURN(inputs.spec, MakeSpec(flags));
  const v1::CompressionSettings& settings = inputs.spec.compression();
  LATHE_RETURN_IF_ERROR(MakeCompressOptions(settings).status());
  LATHE_RETURN_IF_ERROR(MakeSpaceOptions(settings, false).status());
  auto model = ReadModelFile(flags.model_path);
  if (!model.ok()) return Blamed(model.status());
  inputs.model_bytes = *std::move(model);
  LATHE_RETURN_IF_ERROR(CheckDataFlags(flags.data));
  absl::StatusOr<LoadedData> data = LoadData(flags.data);
  if (!data.ok()) return Blamed(data.status());
  inputs.data = *std::move(data);
  const absl::StatusOr<Graph> graph =
      OpenForData(inputs.model_bytes, inputs.data);
  const absl::StatusOr<ModelForm> form = ReadForm(graph, flags.batch);
  if (!form.ok()) {
    return WithExitCode(Annotate(form.status(), flags.model_path), kExitFailed);
  }
  LATHE_RETURN_IF_ERROR(CheckRules(*graph, settings));
  const absl::Status checked = CheckAllData(inputs.data, *form);
  if (!checked.ok()) return Blamed(checked);
  inputs.spec.set_model_digest(Sha256Hex(inputs.model_bytes));
  *inputs.spec.mutable_dataset() = inputs.data.spec;
  return inputs;
}

absl::Status UploadInputs(const std::shared_ptr<grpc::Channel>& channel,
                          const JobInputs& inputs) {
  LATHE_RETURN_IF_ERROR(UploadBlob(channel, inputs.model_bytes).status());
  for (const auto& [digest, blob] : inputs.data.blobs) {
    LATHE_RETURN_IF_ERROR(UploadBlob(channel, blob).status());
  }
  return absl::OkStatus();
}

}  // namespace lathe

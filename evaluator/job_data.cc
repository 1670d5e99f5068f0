#include "evaluator/job_data.h"

#include <numeric>
#include <utility>

#include "absl/memory/memory.h"
#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "data/split.h"
#include "evaluator/accuracy.h"

namespace lathe {
namespace {

// Where one part comes from: a share of the main set or a blob of its own.
struct PartSource {
  const char* name;
  std::string digest;
  int64_t count;
  std::vector<int64_t> share;
  // Nothing is taken.
  bool is_empty = false;
};

absl::StatusOr<const Dataset*> Find(
    const std::map<std::string, Dataset>& datasets, const std::string& digest,
    absl::string_view name) {
  const auto found = datasets.find(digest);
  if (found != datasets.end()) return &found->second;
  return absl::InvalidArgumentError(
      absl::StrCat("the ", name, " set ", digest, " was not given"));
}

// `count` samples of a set of its own, stratified; all of them for 0.
absl::StatusOr<std::vector<int64_t>> TakeSamples(const Dataset& dataset,
                                                 int64_t count) {
  if (count == 0) {
    std::vector<int64_t> all(dataset.SampleCount());
    std::iota(all.begin(), all.end(), 0);
    return all;
  }
  v1::DatasetSpec only;
  only.set_calibration_samples(count);
  LATHE_ASSIGN_OR_RETURN(
      Split split, SplitDataset(dataset.SampleCount(), dataset.labels, only));
  return std::move(split.calibration);
}

absl::StatusOr<DataPart> OpenPart(
    const Graph& graph, const std::map<std::string, Dataset>& datasets,
    const v1::DatasetSpec& spec, const PartSource& source) {
  const bool is_own = !source.digest.empty();
  LATHE_ASSIGN_OR_RETURN(
      const Dataset* dataset,
      Find(datasets, is_own ? source.digest : spec.digest(), source.name));
  LATHE_ASSIGN_OR_RETURN(ModelInputs inputs,
                         ModelInputs::Bind(graph, dataset, spec));
  DataPart part{std::move(inputs), source.share, {}};
  if (is_own && !source.is_empty) {
    LATHE_ASSIGN_OR_RETURN(part.samples, TakeSamples(*dataset, source.count));
  }
  if (!dataset->labels.empty()) {
    LATHE_ASSIGN_OR_RETURN(const int64_t classes, OutputClasses(graph));
    LATHE_RETURN_IF_ERROR(CheckLabels(*dataset, classes));
    for (const int64_t sample : part.samples) {
      part.labels.push_back(dataset->labels[sample]);
    }
  }
  return part;
}

absl::Status CheckParts(const JobData& data) {
  if (data.calibration.samples.empty()) {
    return absl::InvalidArgumentError(
        "no calibration samples; give some with --calibration");
  }
  if (data.search.samples.empty()) {
    return absl::InvalidArgumentError(
        "no samples to search on; give some with --search");
  }
  const auto differs = [&data](const DataPart& part) {
    return !part.samples.empty() &&
           data.search.labels.empty() != part.labels.empty();
  };
  if (differs(data.report) || differs(data.confirmation)) {
    return absl::InvalidArgumentError(
        absl::StrCat("only one of the search and ",
                     differs(data.report) ? "report" : "confirmation",
                     " sets has labels; give both or neither"));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::unique_ptr<JobData>> OpenJobData(
    const Graph& graph, std::map<std::string, Dataset> datasets,
    const v1::DatasetSpec& spec) {
  Split split;
  const auto main = datasets.find(spec.digest());
  if (main != datasets.end()) {
    LATHE_ASSIGN_OR_RETURN(split, SplitDataset(main->second.SampleCount(),
                                               main->second.labels, spec));
  }
  const PartSource calibration = {"calibration", spec.calibration_digest(),
                                  spec.calibration_samples(),
                                  split.calibration};
  const PartSource search = {"search", spec.search_digest(),
                             spec.search_samples(), split.search};
  PartSource confirmation = {"confirmation", spec.confirmation_digest(),
                             spec.confirmation_samples(), split.confirmation};
  // Where every part has a set of its own, this one may have none.
  if (main == datasets.end() && confirmation.digest.empty()) {
    confirmation.digest = search.digest;
    confirmation.is_empty = true;
  }
  const PartSource report = {"report", spec.report_digest(),
                             spec.report_samples(), split.report};
  LATHE_ASSIGN_OR_RETURN(DataPart calibration_part,
                         OpenPart(graph, datasets, spec, calibration));
  LATHE_ASSIGN_OR_RETURN(DataPart search_part,
                         OpenPart(graph, datasets, spec, search));
  LATHE_ASSIGN_OR_RETURN(DataPart confirmation_part,
                         OpenPart(graph, datasets, spec, confirmation));
  LATHE_ASSIGN_OR_RETURN(DataPart report_part,
                         OpenPart(graph, datasets, spec, report));
  // A map that is moved keeps its nodes: the parts' pointers stay good.
  auto data = absl::WrapUnique(new JobData{
      std::move(datasets), std::move(calibration_part), std::move(search_part),
      std::move(confirmation_part), std::move(report_part)});
  LATHE_RETURN_IF_ERROR(CheckParts(*data));
  return data;
}

}  // namespace lathe

#include "data/dataset.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <system_error>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/file.h"
#include "base/status.h"
#include "data/cifar10.h"
#include "data/idx.h"
#include "data/image_folder.h"
#include "data/npy.h"
#include "data/npz.h"

namespace lathe {
namespace {

namespace fs = std::filesystem;

constexpr char kLabels[] = "y";

std::string ShapeText(const Array& array) {
  return absl::StrCat("[", absl::StrJoin(array.shape, ", "), "]");
}

template <typename T>
void AppendLabels(const Array& array, std::vector<int64_t>* labels) {
  for (size_t i = 0; i < array.bytes.size(); i += sizeof(T)) {
    T label;
    std::memcpy(&label, &array.bytes[i], sizeof(T));
    labels->push_back(label);
  }
}

absl::StatusOr<std::vector<int64_t>> ToLabels(const Array& array) {
  if (array.type == Array::Type::kFloat32) {
    return absl::InvalidArgumentError(
        "labels are class indices of an integer type, not float");
  }
  if (array.shape.empty() || array.SampleElements() != 1) {
    return absl::InvalidArgumentError(absl::StrCat(
        "labels have shape ", ShapeText(array), ", not one number a sample"));
  }
  std::vector<int64_t> labels;
  switch (array.type) {
    case Array::Type::kUint8:
      AppendLabels<uint8_t>(array, &labels);
      break;
    case Array::Type::kInt8:
      AppendLabels<int8_t>(array, &labels);
      break;
    case Array::Type::kInt32:
      AppendLabels<int32_t>(array, &labels);
      break;
    default:
      AppendLabels<int64_t>(array, &labels);
      break;
  }
  return labels;
}

absl::Status CheckFinite(const Array& array) {
  if (array.type != Array::Type::kFloat32) return absl::OkStatus();
  for (size_t i = 0; i < array.bytes.size(); i += sizeof(float)) {
    float value;
    std::memcpy(&value, &array.bytes[i], sizeof(float));
    if (!std::isfinite(value)) {
      return absl::InvalidArgumentError(absl::StrCat(
          "element ", i / sizeof(float), " is ", value, ", not finite"));
    }
  }
  return absl::OkStatus();
}

absl::Status CheckInput(const std::string& name, const Array& array) {
  const std::string what = absl::StrCat("input \"", name, "\"");
  if (array.shape.empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat(what, " is a single number, not one row a sample"));
  }
  if (array.SampleCount() == 0 || array.SampleElements() == 0) {
    return absl::InvalidArgumentError(
        absl::StrCat(what, " of shape ", ShapeText(array), " has no values"));
  }
  return Annotate(CheckFinite(array), what);
}

// What every dataset must hold, whatever it was read from.
absl::Status CheckDataset(const Dataset& dataset) {
  if (dataset.inputs.empty()) {
    return absl::InvalidArgumentError("no array of samples; \"x\" is needed");
  }
  for (const auto& [name, array] : dataset.inputs) {
    LATHE_RETURN_IF_ERROR(CheckInput(name, array));
    if (array.SampleCount() != dataset.SampleCount()) {
      return absl::InvalidArgumentError(
          absl::StrCat("input \"", name, "\" has ", array.SampleCount(),
                       " samples where others have ", dataset.SampleCount()));
    }
  }
  const int64_t labels = dataset.labels.size();
  if (labels != 0 && labels != dataset.SampleCount()) {
    return absl::InvalidArgumentError(absl::StrCat(
        labels, " labels for ", dataset.SampleCount(), " samples"));
  }
  for (size_t i = 0; i < dataset.labels.size(); ++i) {
    if (dataset.labels[i] < 0) {
      return absl::InvalidArgumentError(absl::StrCat(
          "label ", dataset.labels[i], " of sample ", i, " is negative"));
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<Dataset> FromNpz(absl::string_view bytes) {
  LATHE_ASSIGN_OR_RETURN(auto arrays, ParseNpz(bytes));
  Dataset dataset;
  for (auto& [name, array] : arrays) {
    if (name == kLabels) {
      LATHE_ASSIGN_OR_RETURN(dataset.labels, ToLabels(array));
    } else {
      dataset.inputs.emplace(name, std::move(array));
    }
  }
  return dataset;
}

bool LooksLikeIdx(absl::string_view bytes) {
  return absl::StartsWith(bytes, "\x1f\x8b") ||
         absl::StartsWith(bytes, absl::string_view("\0\0", 2));
}

// One array, .npy or IDX.
absl::StatusOr<Array> ReadArray(const std::string& path) {
  LATHE_ASSIGN_OR_RETURN(const std::string bytes, ReadFile(path));
  auto array = LooksLikeIdx(bytes) ? ParseIdx(bytes) : ParseNpy(bytes);
  if (!array.ok()) return Annotate(array.status(), path);
  return array;
}

absl::StatusOr<Dataset> ReadPair(const std::string& samples,
                                 const std::string& labels) {
  Dataset dataset;
  LATHE_ASSIGN_OR_RETURN(dataset.inputs["x"], ReadArray(samples));
  if (labels.empty()) return dataset;
  LATHE_ASSIGN_OR_RETURN(const Array array, ReadArray(labels));
  auto parsed = ToLabels(array);
  if (!parsed.ok()) return Annotate(parsed.status(), labels);
  dataset.labels = *std::move(parsed);
  return dataset;
}

// An IDX file of images with its labels beside it, if they are there.
absl::StatusOr<Dataset> ReadIdxImages(const std::string& path) {
  std::string labels = IdxLabelsPath(path);
  if (!labels.empty() && !FileExists(labels)) {
    const bool is_packed = absl::EndsWith(labels, ".gz");
    labels = is_packed ? labels.substr(0, labels.size() - 3) : labels + ".gz";
  }
  return ReadPair(path, FileExists(labels) ? labels : "");
}

absl::StatusOr<Dataset> ReadCifar10(const std::vector<std::string>& paths) {
  Dataset dataset;
  for (const std::string& path : paths) {
    LATHE_ASSIGN_OR_RETURN(const std::string bytes, ReadFile(path));
    LATHE_RETURN_IF_ERROR(Annotate(AppendCifar10(bytes, &dataset), path));
  }
  return dataset;
}

absl::StatusOr<Dataset> ReadFolder(const std::string& path,
                                   const ReadOptions& options) {
  std::vector<std::string> batches;
  std::error_code error;
  fs::directory_iterator entry(path, error);
  for (; !error && entry != fs::directory_iterator(); entry.increment(error)) {
    if (entry->path().extension() == ".bin") {
      batches.push_back(entry->path().string());
    }
  }
  if (error) return ErrnoToStatus(error.value(), path);
  std::sort(batches.begin(), batches.end());
  if (!batches.empty()) return ReadCifar10(batches);
  return ReadImageFolder(path, options);
}

absl::StatusOr<Dataset> ReadSingleFile(const std::string& path) {
  if (absl::EndsWith(path, ".bin")) return ReadCifar10({path});
  LATHE_ASSIGN_OR_RETURN(const std::string bytes, ReadFile(path));
  if (absl::EndsWith(path, ".npz") || absl::StartsWith(bytes, "PK")) {
    auto dataset = FromNpz(bytes);
    if (!dataset.ok()) return Annotate(dataset.status(), path);
    return dataset;
  }
  if (LooksLikeIdx(bytes)) return ReadIdxImages(path);
  if (absl::EndsWith(path, ".npy") || absl::StartsWith(bytes, "\x93NUMPY")) {
    return ReadPair(path, "");
  }
  return absl::InvalidArgumentError(absl::StrCat(
      path,
      ": unknown format; give an .npz, x.npy,y.npy, an IDX file, a "
      "CIFAR-10 .bin, or a folder of pictures"));
}

absl::StatusOr<Dataset> ReadAny(const std::string& path,
                                const ReadOptions& options) {
  std::error_code error;
  if (fs::is_directory(path, error)) return ReadFolder(path, options);
  const size_t comma = path.find(',');
  if (comma == std::string::npos || FileExists(path)) {
    return ReadSingleFile(path);
  }
  const std::string labels = path.substr(comma + 1);
  if (labels.empty() || labels.find(',') != std::string::npos) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, ": not a pair of files as in x.npy,y.npy"));
  }
  return ReadPair(path.substr(0, comma), labels);
}

}  // namespace

size_t ArrayElementBytes(Array::Type type) {
  switch (type) {
    case Array::Type::kUint8:
    case Array::Type::kInt8:
      return 1;
    case Array::Type::kFloat32:
    case Array::Type::kInt32:
      return 4;
    case Array::Type::kInt64:
      return 8;
  }
  return 1;
}

int64_t Array::SampleElements() const {
  int64_t elements = 1;
  for (size_t d = 1; d < shape.size(); ++d) elements *= shape[d];
  return elements;
}

absl::StatusOr<Dataset> ReadDataset(const std::string& path,
                                    const ReadOptions& options) {
  LATHE_ASSIGN_OR_RETURN(Dataset dataset, ReadAny(path, options));
  LATHE_RETURN_IF_ERROR(Annotate(CheckDataset(dataset), path));
  return dataset;
}

absl::StatusOr<Dataset> ParseDataset(absl::string_view npz_bytes) {
  LATHE_ASSIGN_OR_RETURN(Dataset dataset, FromNpz(npz_bytes));
  LATHE_RETURN_IF_ERROR(CheckDataset(dataset));
  return dataset;
}

absl::StatusOr<std::string> SerializeDataset(const Dataset& dataset) {
  LATHE_RETURN_IF_ERROR(CheckDataset(dataset));
  std::map<std::string, Array> arrays = dataset.inputs;
  if (!dataset.labels.empty()) {
    Array labels;
    labels.type = Array::Type::kInt64;
    labels.shape = {static_cast<int64_t>(dataset.labels.size())};
    labels.bytes.assign(reinterpret_cast<const char*>(dataset.labels.data()),
                        dataset.labels.size() * sizeof(int64_t));
    if (!arrays.emplace(kLabels, std::move(labels)).second) {
      return absl::InvalidArgumentError(
          "an input is called \"y\", which names the labels; rename it");
    }
  }
  return SerializeNpz(arrays);
}

absl::Status CheckLabels(const Dataset& dataset, int64_t classes) {
  for (size_t i = 0; i < dataset.labels.size(); ++i) {
    const int64_t label = dataset.labels[i];
    if (label < 0 || label >= classes) {
      return absl::InvalidArgumentError(
          absl::StrCat("label ", label, " of sample ", i, ", not in [0, ",
                       classes - 1, "]: the model has ", classes, " outputs"));
    }
  }
  return absl::OkStatus();
}

}  // namespace lathe

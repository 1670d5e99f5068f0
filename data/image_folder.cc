#include "data/image_folder.h"

#include <algorithm>
#include <filesystem>
#include <system_error>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/file.h"
#include "base/status.h"
#include "data/image.h"

namespace lathe {
namespace {

namespace fs = std::filesystem;

enum class EntryKind { kFolders, kImages };

bool IsImageName(const std::string& name) {
  const std::string lower = absl::AsciiStrToLower(name);
  return absl::EndsWith(lower, ".jpg") || absl::EndsWith(lower, ".jpeg") ||
         absl::EndsWith(lower, ".png");
}

// Names in `path`, alphabetical, hidden ones left out.
absl::StatusOr<std::vector<std::string>> ListNames(const std::string& path,
                                                   EntryKind kind) {
  std::error_code error;
  std::vector<std::string> names;
  fs::directory_iterator entry(path, error);
  for (; !error && entry != fs::directory_iterator(); entry.increment(error)) {
    std::error_code ignored;
    const std::string name = entry->path().filename().string();
    const bool is_wanted = kind == EntryKind::kFolders
                               ? entry->is_directory(ignored)
                               : IsImageName(name);
    if (is_wanted && name[0] != '.') names.push_back(name);
  }
  if (error) return ErrnoToStatus(error.value(), path);
  std::sort(names.begin(), names.end());
  return names;
}

absl::StatusOr<std::map<std::string, int64_t>> ReadClassIndex(
    const std::string& path) {
  LATHE_ASSIGN_OR_RETURN(const std::string text, ReadFile(path));
  std::map<std::string, int64_t> indices;
  int line_number = 0;
  for (absl::string_view line : absl::StrSplit(text, '\n')) {
    ++line_number;
    const std::vector<std::string> words =
        absl::StrSplit(line, absl::ByAnyChar(" \t\r,"), absl::SkipEmpty());
    if (words.empty()) continue;
    int64_t index = 0;
    if (words.size() != 2 || !absl::SimpleAtoi(words[1], &index) || index < 0) {
      return absl::InvalidArgumentError(
          absl::StrCat(path, ":", line_number,
                       ": not a folder name and a class index of 0 or more"));
    }
    if (!indices.emplace(words[0], index).second) {
      return absl::InvalidArgumentError(
          absl::StrCat(path, ":", line_number, ": second line for ", words[0]));
    }
  }
  return indices;
}

// The class index of each folder.
absl::StatusOr<std::vector<int64_t>> NumberFolders(
    const std::vector<std::string>& folders, const std::string& index_path) {
  std::vector<int64_t> numbers;
  std::map<std::string, int64_t> indices;
  if (!index_path.empty()) {
    LATHE_ASSIGN_OR_RETURN(indices, ReadClassIndex(index_path));
  }
  for (size_t i = 0; i < folders.size(); ++i) {
    if (index_path.empty()) {
      numbers.push_back(i);
      continue;
    }
    const auto found = indices.find(folders[i]);
    if (found == indices.end()) {
      return absl::InvalidArgumentError(
          absl::StrCat("folder ", folders[i], " has no line in ", index_path));
    }
    numbers.push_back(found->second);
  }
  return numbers;
}

absl::StatusOr<Image> ReadImage(const std::string& path,
                                const ReadOptions& options) {
  LATHE_ASSIGN_OR_RETURN(const std::string bytes, ReadFile(path));
  LATHE_ASSIGN_OR_RETURN(Image image, DecodeImage(bytes));
  if (options.resize > 0) image = ResizeShorterSide(image, options.resize);
  if (options.crop > 0) {
    LATHE_ASSIGN_OR_RETURN(image, CropCentre(image, options.crop));
  }
  return image;
}

// Appends `image` to `*array` as planes.
absl::Status AppendImage(const Image& image, Array* array) {
  const std::vector<int64_t> sample = {3, image.height, image.width};
  if (array->shape.empty()) {
    array->shape = {0, 3, image.height, image.width};
  }
  if (!std::equal(sample.begin(), sample.end(), array->shape.begin() + 1)) {
    return absl::InvalidArgumentError(absl::StrCat(
        image.width, " x ", image.height, " pixels where others have ",
        array->shape[3], " x ", array->shape[2],
        "; bring them to one size with --resize and --crop"));
  }
  const int64_t pixels = image.height * image.width;
  if (static_cast<int64_t>(array->bytes.size()) >
      kMostDatasetBytes - 3 * pixels) {
    return absl::InvalidArgumentError(
        absl::StrCat("more than ", kMostDatasetBytes,
                     " bytes of pixels; use fewer or smaller pictures"));
  }
  for (int64_t channel = 0; channel < 3; ++channel) {
    for (int64_t i = 0; i < pixels; ++i) {
      array->bytes.push_back(image.pixels[3 * i + channel]);
    }
  }
  ++array->shape[0];
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<Dataset> ReadImageFolder(const std::string& path,
                                        const ReadOptions& options) {
  LATHE_ASSIGN_OR_RETURN(const std::vector<std::string> folders,
                         ListNames(path, EntryKind::kFolders));
  if (folders.empty()) {
    return absl::InvalidArgumentError(absl::StrCat(
        path, ": no sub-folder; one folder of pictures a class is needed"));
  }
  LATHE_ASSIGN_OR_RETURN(const std::vector<int64_t> numbers,
                         NumberFolders(folders, options.class_index_path));
  Dataset dataset;
  Array& images = dataset.inputs["x"];
  images.type = Array::Type::kUint8;
  for (size_t i = 0; i < folders.size(); ++i) {
    const std::string folder = absl::StrCat(path, "/", folders[i]);
    LATHE_ASSIGN_OR_RETURN(const std::vector<std::string> names,
                           ListNames(folder, EntryKind::kImages));
    if (names.empty()) {
      return absl::InvalidArgumentError(
          absl::StrCat(folder, ": no .jpg, .jpeg or .png file"));
    }
    for (const std::string& name : names) {
      const std::string file = absl::StrCat(folder, "/", name);
      auto image = ReadImage(file, options);
      if (!image.ok()) return Annotate(image.status(), file);
      LATHE_RETURN_IF_ERROR(Annotate(AppendImage(*image, &images), file));
      dataset.labels.push_back(numbers[i]);
    }
  }
  return dataset;
}

}  // namespace lathe

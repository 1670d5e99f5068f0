#include "data/data_flags.h"

#include <CLI/CLI.hpp>
#include <cmath>
#include <cstdint>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "base/digest.h"
#include "base/status.h"

namespace lathe {
namespace {

// A split of the data, with its two fields in the spec.
struct SplitField {
  const char* name;
  void (v1::DatasetSpec::*set_samples)(int64_t);
  std::string* (v1::DatasetSpec::*digest)();
};

constexpr SplitField kSplits[] = {
    {"calibration", &v1::DatasetSpec::set_calibration_samples,
     &v1::DatasetSpec::mutable_calibration_digest},
    {"search", &v1::DatasetSpec::set_search_samples,
     &v1::DatasetSpec::mutable_search_digest},
    {"confirmation", &v1::DatasetSpec::set_confirmation_samples,
     &v1::DatasetSpec::mutable_confirmation_digest},
    {"report", &v1::DatasetSpec::set_report_samples,
     &v1::DatasetSpec::mutable_report_digest},
};

bool IsCount(const std::string& text) {
  for (const char c : text) {
    if (!absl::ascii_isdigit(c)) return false;
  }
  return !text.empty();
}

// Reads a file into `loaded` and returns its blob's digest.
absl::StatusOr<std::string> LoadFile(const std::string& path,
                                     const ReadOptions& options,
                                     LoadedData& loaded) {
  LATHE_ASSIGN_OR_RETURN(Dataset dataset, ReadDataset(path, options));
  LATHE_ASSIGN_OR_RETURN(std::string blob, SerializeDataset(dataset));
  std::string digest = Sha256Hex(blob);
  loaded.datasets.emplace(digest, std::move(dataset));
  loaded.blobs.emplace(digest, std::move(blob));
  return digest;
}

// The samples that `text`, which is a count, asks of a split.
absl::StatusOr<int64_t> ParseCount(const std::string& split,
                                   const std::string& text) {
  int64_t samples = 0;
  if (absl::SimpleAtoi(text, &samples) && samples > 0) return samples;
  return absl::InvalidArgumentError(absl::StrCat(
      "--", split, " ", text, ": a count of samples is at least 1"));
}

absl::Status LoadSplit(const SplitField& field, const std::string& text,
                       const ReadOptions& options, LoadedData& loaded) {
  if (IsCount(text)) {
    LATHE_ASSIGN_OR_RETURN(const int64_t samples, ParseCount(field.name, text));
    (loaded.spec.*field.set_samples)(samples);
    return absl::OkStatus();
  }
  const absl::StatusOr<std::string> digest = LoadFile(text, options, loaded);
  if (!digest.ok()) {
    return Annotate(digest.status(), absl::StrCat("--", field.name));
  }
  *(loaded.spec.*field.digest)() = *digest;
  return absl::OkStatus();
}

absl::Status CheckNumbers(const DataFlags& flags) {
  if (!std::isfinite(flags.scale) || flags.scale == 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("--scale ", flags.scale, ": not a finite number but 0"));
  }
  for (const double mean : flags.mean) {
    if (!std::isfinite(mean)) {
      return absl::InvalidArgumentError("--mean: not finite");
    }
  }
  for (const double std : flags.std) {
    if (!std::isfinite(std) || std == 0) {
      return absl::InvalidArgumentError(
          absl::StrCat("--std ", std, ": not a finite number but 0"));
    }
  }
  return absl::OkStatus();
}

}  // namespace

void AddDataFlags(CLI::App& command, DataFlags& flags) {
  const char* group = "Data";
  command
      .add_option("--data", flags.path,
                  "a.npz | x.npy,y.npy | IDX images | CIFAR-10 batches | "
                  "folder with a sub-folder of images per class")
      ->required()
      ->group(group);
  command.add_option("--scale", flags.scale, "factor of the stored values")
      ->group(group);
  command.add_option("--mean", flags.mean, "subtracted; one, or one a channel")
      ->allow_extra_args(false)
      ->delimiter(',')
      ->group(group);
  command.add_option("--std", flags.std, "divided by; one, or one a channel")
      ->allow_extra_args(false)
      ->delimiter(',')
      ->group(group);
  command
      .add_option("--channel-order", flags.channel_order,
                  "what the model wants (data are RGB)")
      ->check(CLI::IsMember({"rgb", "bgr"}))
      ->group(group);
  command.add_option("--layout", flags.layout, "how the data lie")
      ->check(CLI::IsMember({"nchw", "nhwc"}))
      ->group(group);
  command.add_option("--resize", flags.read.resize, "shorter side, pixels")
      ->check(CLI::Range(int64_t{1}, int64_t{1} << 14))
      ->group(group);
  command.add_option("--crop", flags.read.crop, "side of the centre, pixels")
      ->check(CLI::Range(int64_t{1}, int64_t{1} << 14))
      ->group(group);
  command
      .add_option("--class-index", flags.read.class_index_path,
                  "file of 'folder-name index' lines")
      ->group(group);
  for (const SplitField& field : kSplits) {
    command
        .add_option(absl::StrCat("--", field.name), flags.splits[field.name],
                    "samples of this split, or a file")
        ->group(group);
  }
}

absl::Status CheckDataFlags(const DataFlags& flags) {
  for (const auto& [split, text] : flags.splits) {
    if (!IsCount(text)) continue;
    LATHE_RETURN_IF_ERROR(ParseCount(split, text).status());
  }
  return CheckNumbers(flags);
}

absl::StatusOr<LoadedData> LoadData(const DataFlags& flags) {
  LATHE_RETURN_IF_ERROR(CheckDataFlags(flags));
  LoadedData loaded;
  absl::StatusOr<std::string> digest = LoadFile(flags.path, flags.read, loaded);
  if (!digest.ok()) return Annotate(digest.status(), "--data");
  loaded.spec.set_digest(*std::move(digest));
  loaded.spec.set_scale(flags.scale);
  loaded.spec.mutable_mean()->Assign(flags.mean.begin(), flags.mean.end());
  loaded.spec.mutable_std()->Assign(flags.std.begin(), flags.std.end());
  loaded.spec.set_is_bgr(flags.channel_order == "bgr");
  loaded.spec.set_layout(flags.layout);
  for (const SplitField& field : kSplits) {
    const auto it = flags.splits.find(field.name);
    if (it == flags.splits.end() || it->second.empty()) continue;
    LATHE_RETURN_IF_ERROR(LoadSplit(field, it->second, flags.read, loaded));
  }
  return loaded;
}

}  // namespace lathe

// Labelled samples in memory, read from the formats that people have.
#ifndef LATHE_DATA_DATASET_H_
#define LATHE_DATA_DATASET_H_

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "proto/types.pb.h"

namespace lathe {

// A dense row-major array as it was stored.
struct Array {
  enum class Type { kFloat32, kUint8, kInt8, kInt32, kInt64 };
  Type type = Type::kFloat32;
  // The first dimension counts samples.
  std::vector<int64_t> shape;
  std::string bytes;

  int64_t SampleCount() const { return shape.empty() ? 0 : shape[0]; }
  int64_t SampleElements() const;
};

// Bytes of one element.
size_t ArrayElementBytes(Array::Type type);

// The most bytes that a dataset may hold; a file that declares more is refused
// before memory is taken. Far above what evaluations need, far below what
// hurts a machine.
constexpr int64_t kMostDatasetBytes = int64_t{4} << 30;

struct Dataset {
  // By model input name; "x" stands for the sole input of any name. All have
  // the same number of samples.
  std::map<std::string, Array> inputs;
  // Class indices, one a sample; empty when there are none.
  std::vector<int64_t> labels;

  int64_t SampleCount() const {
    return inputs.empty() ? 0 : inputs.begin()->second.SampleCount();
  }
};

// How files are read; the image-folder fields are for folders only.
struct ReadOptions {
  // Shorter side after resizing, in pixels; 0 leaves the size.
  int64_t resize = 0;
  // Side of the centre crop; 0 for none.
  int64_t crop = 0;
  // File that maps a folder name to a class index, a "name index" pair a line;
  // empty: folders are numbered in alphabetical order.
  std::string class_index_path;
};

// Reads `path`: "a.npz", "x.npy,y.npy" or "x.npy", IDX ("...-idx3-ubyte[.gz]",
// its labels found beside it, or given after a comma), CIFAR-10 binary batches
// (one file, or a folder of them), or a folder with a sub-folder of JPEG or PNG
// images for each class.
//
// Errors, each naming the file and the rule:
//   NotFound - a file is missing.
//   InvalidArgument - not that format, truncated, a type that is not
//     supported, counts that differ, a negative label, NaN.
absl::StatusOr<Dataset> ReadDataset(const std::string& path,
                                    const ReadOptions& options = {});

// The canonical blob: an .npz (stored, not compressed; equal data give equal
// bytes) with one array per input and `y` (int64).
absl::StatusOr<std::string> SerializeDataset(const Dataset& dataset);
// Errors: as ReadDataset.
absl::StatusOr<Dataset> ParseDataset(absl::string_view npz_bytes);

// Samples of one array as model input: channels reordered, layout turned to
// that of `model_shape`, then (v * scale - mean) / std per channel, float32.
// The result is [samples.size(), model_shape[1:]...].
//
// `model_shape` is the model's input shape; its first dimension is ignored.
// Channels are dimension 1 of a 4-dimensional input, else the last; a
// 4-dimensional input that only fits the data as [N, H, W, C] has them last.
// Missing or extra dimensions of size 1 are forgiven where there is one channel
// or the order of the others does not matter.
//
// Errors:
//   InvalidArgument - the sample's shape does not fit `model_shape` (both are
//     named), mean or std have neither one number nor one per channel, std 0,
//     BGR is asked for without 3 channels, a layout that does not exist, a
//     sample out of range.
absl::StatusOr<std::vector<float>> MakeInput(
    const Array& array, absl::Span<const int64_t> samples,
    absl::Span<const int64_t> model_shape, const v1::DatasetSpec& spec);

// The whole shape that samples of `array` give an input declared as
// `model_shape`, whose open sizes are negative; the first size is 1. What
// MakeInput would take, it has no say in where the declared sizes fit nothing.
//
// Errors:
//   InvalidArgument - the sample's sizes do not fit the declared ones.
absl::StatusOr<std::vector<int64_t>> FitShape(
    const Array& array, absl::Span<const int64_t> model_shape,
    const v1::DatasetSpec& spec);

// The array for a model's input: that of its name; for a sole input also "x",
// or the only one there is.
//
// Errors:
//   InvalidArgument - there is none; names what there is.
absl::StatusOr<const Array*> FindArray(const Dataset& dataset,
                                       const std::string& input,
                                       bool is_sole_input);

// Errors:
//   InvalidArgument - a label outside [0, classes); names the sample.
absl::Status CheckLabels(const Dataset& dataset, int64_t classes);

}  // namespace lathe

#endif  // LATHE_DATA_DATASET_H_

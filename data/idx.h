// IDX, the format of MNIST: one array, big endian, often gzipped.
#ifndef LATHE_DATA_IDX_H_
#define LATHE_DATA_IDX_H_

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "data/dataset.h"

namespace lathe {

// Reads one IDX file of type uint8, int8, int16, int32 or float32, gzipped or
// not.
//
// Errors:
//   InvalidArgument - not IDX, truncated, longer than its shape says, damaged
//     gzip, more than kMostDatasetBytes.
absl::StatusOr<Array> ParseIdx(absl::string_view bytes);

// Where the labels of an image file lie by MNIST's names:
// "train-images-idx3-ubyte.gz" gives "train-labels-idx1-ubyte.gz". Empty when
// the name does not follow them.
std::string IdxLabelsPath(const std::string& images_path);

}  // namespace lathe

#endif  // LATHE_DATA_IDX_H_

// Zip archives of .npy files, in memory.
#ifndef LATHE_DATA_NPZ_H_
#define LATHE_DATA_NPZ_H_

#include <map>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "data/dataset.h"

namespace lathe {

// The arrays of an .npz by name (without ".npy").
//
// Errors:
//   InvalidArgument - not a zip archive, damaged, encrypted, an entry that is
//     no .npy (or one that ParseNpy refuses), two of one name, more than
//     kMostDatasetBytes.
absl::StatusOr<std::map<std::string, Array>> ParseNpz(absl::string_view bytes);

// A stored (not compressed) .npz; equal arrays give equal bytes.
absl::StatusOr<std::string> SerializeNpz(
    const std::map<std::string, Array>& arrays);

}  // namespace lathe

#endif  // LATHE_DATA_NPZ_H_

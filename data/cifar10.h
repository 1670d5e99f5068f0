// CIFAR-10's binary batches: a label byte and 3 x 32 x 32 pixels a sample.
#ifndef LATHE_DATA_CIFAR10_H_
#define LATHE_DATA_CIFAR10_H_

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "data/dataset.h"

namespace lathe {

// Appends the samples of one batch to `*dataset` (as input "x", uint8).
//
// Errors:
//   InvalidArgument - empty, not a multiple of 3,073 bytes, a label above 9;
//     `*dataset` is then unspecified.
absl::Status AppendCifar10(absl::string_view bytes, Dataset* dataset);

}  // namespace lathe

#endif  // LATHE_DATA_CIFAR10_H_

// NumPy's .npy: one array as a Python dictionary and raw bytes.
#ifndef LATHE_DATA_NPY_H_
#define LATHE_DATA_NPY_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "data/dataset.h"

namespace lathe {

// Reads versions 1-3. Types that Array does not have are widened: float16 and
// float64 become float32 (float64 rounds), bool uint8, int16 and uint16 int32,
// uint32 and uint64 int64. Fortran order is turned to C order.
//
// Errors:
//   InvalidArgument - not .npy, truncated, longer than its shape says, big
//     endian, a type that is not numeric, uint64 beyond int64.
absl::StatusOr<Array> ParseNpy(absl::string_view bytes);

// A version 1 file of `bytes` in C order; `descr` is NumPy's name of the type,
// for instance "<f4". Equal arguments give equal bytes.
std::string NpyBytes(absl::string_view descr, absl::Span<const int64_t> shape,
                     absl::string_view bytes);
std::string SerializeNpy(const Array& array);

}  // namespace lathe

#endif  // LATHE_DATA_NPY_H_

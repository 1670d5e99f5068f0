// Changes ONNX models by their structure, so that a fuzzer spends its time
// behind the parser.
#ifndef LATHE_COMPRESSOR_FUZZ_ONNX_MUTATOR_H_
#define LATHE_COMPRESSOR_FUZZ_ONNX_MUTATOR_H_

#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"

namespace lathe {

// `bytes` as a model with a few fields changed: numbers to edge cases, names
// to other names of the model, operators to others, elements added, copied or
// removed. Equal arguments give equal bytes. Bytes that are no model come back
// as they are.
std::string MutateOnnx(absl::string_view bytes, uint32_t seed);

}  // namespace lathe

#endif  // LATHE_COMPRESSOR_FUZZ_ONNX_MUTATOR_H_

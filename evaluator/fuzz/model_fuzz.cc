// libFuzzer's target: ExerciseModel must return, whatever the bytes are. Built
// with -DLATHE_FUZZ=ON, run by tools/check-all fuzz.
#include <cstdint>
#include <cstring>
#include <string>

#include "compressor/fuzz/onnx_mutator.h"
#include "evaluator/testing/exercise_model.h"

extern "C" size_t LLVMFuzzerMutate(uint8_t* data, size_t size, size_t most);

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  lathe::ExerciseModel({reinterpret_cast<const char*>(data), size})
      .IgnoreError();
  return 0;
}

// One change in four is of raw bytes, which tries the parser itself.
extern "C" size_t LLVMFuzzerCustomMutator(uint8_t* data, size_t size,
                                          size_t most, unsigned int seed) {
  if (seed % 4 == 0) return LLVMFuzzerMutate(data, size, most);
  const std::string changed =
      lathe::MutateOnnx({reinterpret_cast<const char*>(data), size}, seed);
  if (changed.empty() || changed.size() > most) return size;
  std::memcpy(data, changed.data(), changed.size());
  return changed.size();
}

/* The header is C: this is compiled as C and called by the unit test. */
#include "runtime/lathe_runtime.h"

int CountInputsInC(const void* bytes, size_t size) {
  lathe_model* model = NULL;
  if (lathe_model_load_bytes(bytes, size, &model) != LATHE_OK) return -1;
  const int count = lathe_model_input_count(model);
  lathe_model_free(model);
  return count;
}

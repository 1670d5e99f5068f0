// Average pooling of 8-bit levels, which oneDNN only rounds to the input's own
// grid.
#ifndef LATHE_EVALUATOR_AVERAGE_LEVELS_H_
#define LATHE_EVALUATOR_AVERAGE_LEVELS_H_

#include <cstdint>
#include <vector>

#include "compressor/window.h"
#include "evaluator/program.h"
#include "evaluator/storage.h"

namespace lathe {

// A loop over operands {input, output}, both with channels last, in one to
// three spatial dimensions. Means are taken over exact sums and then rounded
// once, to `output`, which is 8-bit or float32. With `counts_padding` the
// padding (but not what ceil_mode adds behind it) counts as zeros.
Loop AverageLevelsLoop(int64_t batch, int64_t channels, const Window& window,
                       bool counts_padding, const Encoding& input,
                       const Encoding& output);

}  // namespace lathe

#endif  // LATHE_EVALUATOR_AVERAGE_LEVELS_H_

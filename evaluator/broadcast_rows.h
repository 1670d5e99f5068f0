// Rows of values that are broadcast to one shape, compiled for several
// instruction sets.
#ifndef LATHE_EVALUATOR_BROADCAST_ROWS_H_
#define LATHE_EVALUATOR_BROADCAST_ROWS_H_

#include <cstdint>

namespace lathe {

enum class Arithmetic { kAdd, kSubtract, kMultiply, kDivide, kMost, kLeast };

// A value in a row: its numbers lie one behind the other, or it is one number.
template <typename T>
struct RowOf {
  const T* first = nullptr;
  bool is_one = false;
};

// out[i] = a[i] op b[i] for `size` numbers. Of NaNs the extremes may take
// notice or not, as those of EvaluateNode.
using ArithmeticRow = void (*)(const RowOf<float>& a, const RowOf<float>& b,
                               int64_t size, float* out);
ArithmeticRow ArithmeticRowFor(Arithmetic op);

// out[i] = condition[i] != 0 ? yes[i] : no[i] for `size` elements of 4 bytes.
using ChoiceRow = void (*)(const RowOf<uint8_t>& condition,
                           const RowOf<int32_t>& yes, const RowOf<int32_t>& no,
                           int64_t size, int32_t* out);
ChoiceRow ChoiceRowForWords();

}  // namespace lathe

#endif  // LATHE_EVALUATOR_BROADCAST_ROWS_H_

// Inputs and states of an LSTM or GRU as rows of a regression. Private to the
// compressor.
#ifndef LATHE_COMPRESSOR_RECURRENT_ROWS_H_
#define LATHE_COMPRESSOR_RECURRENT_ROWS_H_

#include <cstdint>
#include <vector>

#include "compressor/graph.h"
#include "compressor/ridge.h"
#include "compressor/tensor.h"

namespace lathe {

// Picks (step, sample) positions of a recurrent node. Immutable.
class RecurrentRows {
 public:
  // `input` and `recurrence` are the shapes of X and R. At most `most_rows`
  // positions, evenly spread over all.
  RecurrentRows(const Node& node, const Shape& input, const Shape& recurrence,
                int64_t most_rows);

  int64_t directions() const { return directions_; }

  // [rows, features] of X.
  Observations Inputs(const Tensor& x) const;
  // [rows, hidden] of Y: what direction `d` had as its state before each step;
  // 0 before its first.
  Observations LastStates(const Tensor& y, int64_t d) const;

 private:
  struct Position {
    int64_t step = 0;
    int64_t sample = 0;
  };

  const bool is_batch_first_;
  const bool is_reverse_;  // Of the first direction.
  int64_t steps_ = 0;
  int64_t samples_ = 0;
  const int64_t directions_;
  std::vector<Position> rows_;
};

}  // namespace lathe

#endif  // LATHE_COMPRESSOR_RECURRENT_ROWS_H_

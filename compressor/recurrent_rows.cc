#include "compressor/recurrent_rows.h"

#include <algorithm>

namespace lathe {

RecurrentRows::RecurrentRows(const Node& node, const Shape& input,
                             const Shape& recurrence, int64_t most_rows)
    : is_batch_first_(node.IntOr("layout", 0) != 0),
      is_reverse_(node.StringOr("direction", "forward") == "reverse"),
      steps_(input[is_batch_first_ ? 1 : 0]),
      samples_(input[is_batch_first_ ? 0 : 1]),
      directions_(recurrence[0]) {
  const int64_t all = steps_ * samples_;
  const int64_t count = std::min(all, most_rows);
  for (int64_t i = 0; i < count; ++i) {
    const int64_t at = i * all / count;
    rows_.push_back({at % steps_, at / steps_});
  }
}

Observations RecurrentRows::Inputs(const Tensor& x) const {
  const int64_t features = x.shape()[2];
  const float* values = x.values<float>().data();
  Observations rows(rows_.size(), features);
  for (size_t r = 0; r < rows_.size(); ++r) {
    const Position& at = rows_[r];
    const int64_t index = is_batch_first_ ? at.sample * steps_ + at.step
                                          : at.step * samples_ + at.sample;
    std::copy_n(values + index * features, features, rows.row(r).data());
  }
  return rows;
}

Observations RecurrentRows::LastStates(const Tensor& y, int64_t d) const {
  const int64_t units = y.shape()[3];
  const float* values = y.values<float>().data();
  const bool is_reverse = is_reverse_ || d == 1;
  Observations rows = Observations::Zero(rows_.size(), units);
  for (size_t r = 0; r < rows_.size(); ++r) {
    const int64_t step = rows_[r].step + (is_reverse ? 1 : -1);
    if (step < 0 || step >= steps_) continue;
    const int64_t index =
        is_batch_first_ ? (rows_[r].sample * steps_ + step) * directions_ + d
                        : (step * directions_ + d) * samples_ + rows_[r].sample;
    std::copy_n(values + index * units, units, rows.row(r).data());
  }
  return rows;
}

}  // namespace lathe

// Which samples serve for what. The parts are disjoint.
#ifndef LATHE_DATA_SPLIT_H_
#define LATHE_DATA_SPLIT_H_

#include <cstdint>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "proto/types.pb.h"

namespace lathe {

// Ascending sample indices of each part.
struct Split {
  std::vector<int64_t> calibration;
  std::vector<int64_t> search;
  std::vector<int64_t> confirmation;
  std::vector<int64_t> report;
};

// Splits `sample_count` samples, stratified by label where `labels` is not
// empty, by a fixed seed. Default shares: calibration 10 % (at most 512
// samples), search 40 % (at most 4,000), confirmation 20 %, report the rest; a
// count in `spec` replaces its share; a part for which `spec` has a blob of
// its own gets no share of this set.
//
// Errors:
//   InvalidArgument - fewer than 50 samples and no counts given, or counts
//     that add up to more than there are; the message names both numbers.
absl::StatusOr<Split> SplitDataset(int64_t sample_count,
                                   absl::Span<const int64_t> labels,
                                   const v1::DatasetSpec& spec);

}  // namespace lathe

#endif  // LATHE_DATA_SPLIT_H_

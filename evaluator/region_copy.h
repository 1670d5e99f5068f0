// Moves a box of elements from one tensor to another, whatever their layouts:
// what Slice, Pad and Concat come down to.
#ifndef LATHE_EVALUATOR_REGION_COPY_H_
#define LATHE_EVALUATOR_REGION_COPY_H_

#include <cstdint>
#include <vector>

#include "evaluator/onednn_adapter.h"

namespace lathe {

// Element i of the box, i[d] in [0, extent[d]), goes from
// source_start[d] + i[d] * source_step[d] to destination_start[d] + i[d].
struct RegionCopy {
  Layout source;
  Layout destination;
  std::vector<int64_t> extent;
  std::vector<int64_t> source_start;
  std::vector<int64_t> source_step;
  std::vector<int64_t> destination_start;
  // 1, 2, 4 or 8.
  int64_t element_bytes = 4;
};

// A RegionCopy worked out to loops over runs of bytes. Immutable.
class RegionCopier {
 public:
  explicit RegionCopier(const RegionCopy& copy);

  void Run(const char* source, char* destination) const;

  // Bytes that are copied at once; 0 where blocks cut the channels.
  int64_t RunBytes() const;

 private:
  struct Dimension {
    int64_t extent = 1;
    int64_t source_stride = 0;  // In bytes, as below.
    int64_t destination_stride = 0;
  };
  struct Piece {
    int64_t source = 0;
    int64_t destination = 0;
    int64_t bytes = 0;
  };

  void SplitChannels(const RegionCopy& copy);
  void Merge();
  void RunFrom(size_t depth, const char* source, char* destination) const;
  void RunInnermost(const Dimension& dimension, const char* source,
                    char* destination) const;

  int64_t source_offset_ = 0;
  int64_t destination_offset_ = 0;
  std::vector<Dimension> dimensions_;  // Outermost first.
  // What is copied at every position: one run, or several where blocks cut
  // the channels.
  std::vector<Piece> pieces_;
};

}  // namespace lathe

#endif  // LATHE_EVALUATOR_REGION_COPY_H_

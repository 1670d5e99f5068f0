#include "evaluator/region_copy.h"

#include <algorithm>
#include <cstring>

namespace lathe {
namespace {

constexpr int kChannels = 1;

int64_t ChannelOffset(const Layout& layout, int64_t c) {
  return c / layout.channel_block * layout.strides[kChannels] +
         c % layout.channel_block;
}

// A loop over runs of a size known to the compiler.
template <int64_t kBytes>
void CopyRuns(int64_t count, int64_t source_stride, int64_t destination_stride,
              const char* source, char* destination) {
  for (int64_t i = 0; i < count; ++i) {
    std::memcpy(destination + i * destination_stride,
                source + i * source_stride, kBytes);
  }
}

// `count` times the same bytes, one behind the other.
void Repeat(int64_t count, int64_t bytes, const char* source,
            char* destination) {
  std::memcpy(destination, source, bytes);
  for (int64_t filled = bytes; filled < count * bytes; filled *= 2) {
    std::memcpy(destination + filled, destination,
                std::min(filled, count * bytes - filled));
  }
}

}  // namespace

RegionCopier::RegionCopier(const RegionCopy& copy) {
  const int rank = static_cast<int>(copy.extent.size());
  const bool is_blocked =
      copy.source.channel_block > 1 || copy.destination.channel_block > 1;
  for (int d = 0; d < rank; ++d) {
    if (is_blocked && d == kChannels) continue;
    source_offset_ +=
        copy.source_start[d] * copy.source.strides[d] * copy.element_bytes;
    destination_offset_ += copy.destination_start[d] *
                           copy.destination.strides[d] * copy.element_bytes;
    dimensions_.push_back(
        {copy.extent[d],
         copy.source_step[d] * copy.source.strides[d] * copy.element_bytes,
         copy.destination.strides[d] * copy.element_bytes});
  }
  if (is_blocked) {
    SplitChannels(copy);
  } else {
    pieces_ = {{0, 0, copy.element_bytes}};
  }
  Merge();
}

void RegionCopier::SplitChannels(const RegionCopy& copy) {
  for (int64_t c = 0; c < copy.extent[kChannels]; ++c) {
    Piece piece;
    piece.source =
        copy.element_bytes *
        ChannelOffset(copy.source, copy.source_start[kChannels] +
                                       c * copy.source_step[kChannels]);
    piece.destination =
        copy.element_bytes *
        ChannelOffset(copy.destination, copy.destination_start[kChannels] + c);
    piece.bytes = copy.element_bytes;
    if (!pieces_.empty()) {
      Piece& last = pieces_.back();
      if (last.source + last.bytes == piece.source &&
          last.destination + last.bytes == piece.destination) {
        last.bytes += piece.bytes;
        continue;
      }
    }
    pieces_.push_back(piece);
  }
}

void RegionCopier::Merge() {
  const auto is_single = [](const Dimension& d) { return d.extent == 1; };
  dimensions_.erase(
      std::remove_if(dimensions_.begin(), dimensions_.end(), is_single),
      dimensions_.end());
  std::stable_sort(dimensions_.begin(), dimensions_.end(),
                   [](const Dimension& a, const Dimension& b) {
                     return a.destination_stride > b.destination_stride;
                   });
  while (pieces_.size() == 1 && !dimensions_.empty() &&
         dimensions_.back().source_stride == pieces_[0].bytes &&
         dimensions_.back().destination_stride == pieces_[0].bytes) {
    pieces_[0].bytes *= dimensions_.back().extent;
    dimensions_.pop_back();
  }
  // Neighbours that are walked evenly are one.
  for (size_t d = dimensions_.size(); d-- > 1;) {
    const Dimension& inner = dimensions_[d];
    Dimension& outer = dimensions_[d - 1];
    if (outer.source_stride != inner.extent * inner.source_stride ||
        outer.destination_stride != inner.extent * inner.destination_stride) {
      continue;
    }
    outer = {outer.extent * inner.extent, inner.source_stride,
             inner.destination_stride};
    dimensions_.erase(dimensions_.begin() + static_cast<int64_t>(d));
  }
  if (dimensions_.empty()) dimensions_.push_back({});
}

int64_t RegionCopier::RunBytes() const {
  return pieces_.size() == 1 ? pieces_[0].bytes : 0;
}

void RegionCopier::Run(const char* source, char* destination) const {
  RunFrom(0, source + source_offset_, destination + destination_offset_);
}

void RegionCopier::RunFrom(size_t depth, const char* source,
                           char* destination) const {
  const Dimension& dimension = dimensions_[depth];
  if (depth + 1 == dimensions_.size()) {
    RunInnermost(dimension, source, destination);
    return;
  }
  for (int64_t i = 0; i < dimension.extent; ++i) {
    RunFrom(depth + 1, source + i * dimension.source_stride,
            destination + i * dimension.destination_stride);
  }
}

void RegionCopier::RunInnermost(const Dimension& dimension, const char* source,
                                char* destination) const {
  for (const Piece& piece : pieces_) {
    const char* from = source + piece.source;
    char* to = destination + piece.destination;
    if (dimension.source_stride == 0 &&
        dimension.destination_stride == piece.bytes) {
      Repeat(dimension.extent, piece.bytes, from, to);
      continue;
    }
    const auto copy = [&](auto runs) {
      runs(dimension.extent, dimension.source_stride,
           dimension.destination_stride, from, to);
    };
    switch (piece.bytes) {
      case 1:
        copy(CopyRuns<1>);
        break;
      case 2:
        copy(CopyRuns<2>);
        break;
      case 4:
        copy(CopyRuns<4>);
        break;
      case 8:
        copy(CopyRuns<8>);
        break;
      case 16:
        copy(CopyRuns<16>);
        break;
      case 32:
        copy(CopyRuns<32>);
        break;
      case 64:
        copy(CopyRuns<64>);
        break;
      default:
        for (int64_t i = 0; i < dimension.extent; ++i) {
          std::memcpy(to + i * dimension.destination_stride,
                      from + i * dimension.source_stride, piece.bytes);
        }
    }
  }
}

}  // namespace lathe

#include "evaluator/region_copy.h"

#include <functional>
#include <random>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace lathe {
namespace {

int64_t OffsetOf(const Layout& layout, const std::vector<int64_t>& index) {
  int64_t offset = 0;
  for (size_t d = 0; d < index.size(); ++d) {
    if (d == 1) {
      offset += index[d] / layout.channel_block * layout.strides[d] +
                index[d] % layout.channel_block;
    } else {
      offset += index[d] * layout.strides[d];
    }
  }
  return offset;
}

MemoryDesc DescOf(const Shape& shape, int kind, DataType type) {
  switch (kind) {
    case 0:
      return PlainDesc(shape, type);
    case 1:
      return ChannelsLastDesc(shape, type);
    default:
      return BlockedDesc(shape, kind == 2 ? 8 : 16, type);
  }
}

struct Box {
  Shape source;
  Shape destination;
  RegionCopy copy;
};

// A random box from one 4-dimensional tensor to another.
Box RandomBox(std::mt19937& random, DataType type) {
  Box box;
  RegionCopy& copy = box.copy;
  for (int d = 0; d < 4; ++d) {
    const int64_t extent = random() % (d == 1 ? 24 : 5) + 1;
    const int64_t step = random() % 3 == 0 ? -1 : 1 + random() % 2;
    const int64_t before = random() % 3;
    const int64_t reach = (extent - 1) * (step < 0 ? -step : step);
    copy.extent.push_back(extent);
    copy.source_step.push_back(step);
    copy.source_start.push_back(step < 0 ? before + reach : before);
    copy.destination_start.push_back(random() % 9);
    box.source.push_back(before + reach + 1 + random() % 2);
    box.destination.push_back(copy.destination_start[d] + extent +
                              random() % 2);
  }
  copy.element_bytes = static_cast<int64_t>(ElementBytes(type));
  return box;
}

// Visits all positions of the box.
void ForEach(const std::vector<int64_t>& extent,
             const std::function<void(const std::vector<int64_t>&)>& visit) {
  std::vector<int64_t> i(extent.size(), 0);
  for (int64_t n = 0; n < ElementCount(extent); ++n) {
    int64_t rest = n;
    for (int d = static_cast<int>(extent.size()) - 1; d >= 0; --d) {
      i[d] = rest % extent[d];
      rest /= extent[d];
    }
    visit(i);
  }
}

TEST(RegionCopy, MovesEveryElementOfRandomBoxesBetweenRandomLayouts) {
  std::mt19937 random(11);
  for (int round = 0; round < 400; ++round) {
    SCOPED_TRACE(testing::Message() << "round " << round);
    const DataType type =
        round % 2 == 0 ? DataType::kUint8 : DataType::kFloat32;
    Box box = RandomBox(random, type);
    const MemoryDesc from = DescOf(box.source, random() % 4, type);
    const MemoryDesc to = DescOf(box.destination, random() % 4, type);
    RegionCopy& copy = box.copy;
    copy.source = *DescribeLayout(from);
    copy.destination = *DescribeLayout(to);
    std::string source(DescBytes(from), 0);
    for (char& byte : source) byte = static_cast<char>(random() % 127 + 1);
    std::string moved(DescBytes(to), 0);
    std::string expected = moved;
    RegionCopier(copy).Run(source.data(), moved.data());
    ForEach(copy.extent, [&](const std::vector<int64_t>& i) {
      std::vector<int64_t> at_source = i;
      std::vector<int64_t> at_destination = i;
      for (int d = 0; d < 4; ++d) {
        at_source[d] = copy.source_start[d] + i[d] * copy.source_step[d];
        at_destination[d] += copy.destination_start[d];
      }
      const int64_t bytes = copy.element_bytes;
      expected.replace(OffsetOf(copy.destination, at_destination) * bytes,
                       bytes, source, OffsetOf(copy.source, at_source) * bytes,
                       bytes);
    });
    EXPECT_EQ(moved, expected);
  }
}

}  // namespace
}  // namespace lathe

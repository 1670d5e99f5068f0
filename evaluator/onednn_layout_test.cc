#include "evaluator/onednn_layout.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <cstring>
#include <vector>

#include "evaluator/onednn_adapter.h"

namespace lathe {
namespace {

using Tag = dnnl::memory::format_tag;

// Where a blocked layout of weights has [o, i, k]; `inner` inputs of an output
// lie together.
int64_t Offset(int64_t o, int64_t i, int64_t k, int64_t in_blocks,
               int64_t pixels, int64_t inner) {
  const int64_t block = ((o / 16) * in_blocks + i / 16) * pixels + k;
  const int64_t within =
      i % 16 / inner * 16 * inner + o % 16 * inner + i % inner;
  return block * 256 + within;
}

template <typename T>
void ExpectMoved(DataType type, Tag tag, int64_t inner) {
  for (const int64_t outs : {1, 7, 16, 20}) {
    for (const int64_t ins : {1, 3, 4, 8, 12, 16, 17, 40}) {
      for (const int64_t size : {1, 3}) {
        const Shape shape = {outs, ins, size, size};
        const int64_t pixels = size * size;
        const int64_t in_blocks = (ins + 15) / 16;
        ReorderSpec spec;
        spec.source = PlainDesc(shape, type);
        spec.destination = MemoryDesc(shape, ToDnnlType(type), tag);
        std::vector<T> numbers;
        for (int64_t n = 0; n < outs * ins * pixels; ++n) {
          numbers.push_back(static_cast<T>(n % 100 + 1));
        }
        std::vector<T> expected((outs + 15) / 16 * in_blocks * 256 * pixels, 0);
        for (size_t n = 0; n < numbers.size(); ++n) {
          const int64_t k = n % pixels;
          const int64_t i = n / pixels % ins;
          const int64_t o = n / pixels / ins;
          expected[Offset(o, i, k, in_blocks, pixels, inner)] = numbers[n];
        }
        std::vector<T> out(expected.size(), 77);
        ASSERT_TRUE(ReorderNow(spec, numbers.data(), out.data()).ok());
        EXPECT_EQ(out, expected) << outs << " x " << ins << " x " << pixels;
      }
    }
  }
}

TEST(OneDnnLayout, WeightsLieWhereTheirBlocksSayAndZerosFillThemUp) {
  ExpectMoved<float>(DataType::kFloat32, Tag::ABcd16b16a, 1);
  ExpectMoved<int8_t>(DataType::kInt8, Tag::ABcd4b16a4b, 4);
}

}  // namespace
}  // namespace lathe

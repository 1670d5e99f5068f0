#include "client/worker/tensor_convert.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "data/npy.h"

namespace lathe {
namespace {

using ::testing::ElementsAre;

TEST(ConvertTensor, KeepsValuesThatFit) {
  const Tensor wide = Tensor::Of<int64_t>({3}, std::vector<int64_t>{0, 1, 255});
  const auto bytes = ConvertTensor(wide, DataType::kUint8);
  ASSERT_TRUE(bytes.ok()) << bytes.status();
  EXPECT_THAT(bytes->values<uint8_t>(), ElementsAre(0, 1, 255));
  const auto floats = ConvertTensor(*bytes, DataType::kFloat32);
  ASSERT_TRUE(floats.ok()) << floats.status();
  EXPECT_THAT(floats->values<float>(), ElementsAre(0, 1, 255));
}

TEST(ConvertTensor, RefusesValuesThatDoNotFit) {
  struct Case {
    Tensor tensor;
    DataType type;
  };
  const std::vector<Case> cases = {
      {Tensor::Of<int64_t>({1}, std::vector<int64_t>{256}), DataType::kUint8},
      {Tensor::Of<int64_t>({1}, std::vector<int64_t>{-1}), DataType::kUint64},
      {Tensor::Of<float>({1}, std::vector<float>{0.5f}), DataType::kInt64},
      {Tensor::Of<float>({1}, std::vector<float>{3e38f}), DataType::kInt64},
      {Tensor::Of<float>({1}, std::vector<float>{1}), DataType::kFloat16},
  };
  for (const Case& c : cases) {
    const auto converted = ConvertTensor(c.tensor, c.type);
    EXPECT_EQ(converted.status().code(), absl::StatusCode::kInvalidArgument)
        << DataTypeName(c.type);
  }
}

TEST(NpyOfTensor, IsReadBackAsTheSameArray) {
  const Tensor tensor =
      Tensor::Of<int32_t>({2, 1}, std::vector<int32_t>{-7, 70000});
  const auto array = ParseNpy(NpyOfTensor(tensor));
  ASSERT_TRUE(array.ok()) << array.status();
  const Tensor again = TensorFromArray(*array);
  EXPECT_EQ(again.type(), DataType::kInt32);
  EXPECT_EQ(again.shape(), tensor.shape());
  EXPECT_EQ(again.bytes(), tensor.bytes());
}

}  // namespace
}  // namespace lathe

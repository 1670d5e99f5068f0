#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "data/dataset.h"
#include "data/testing/arrays.h"

namespace lathe {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

using Samples = std::vector<int64_t>;
using Dims = std::vector<int64_t>;

// Two images of 3 channels and 1 x 2 pixels, [N, C, H, W]; the values are
// 100 * sample + 10 * channel + column.
Array Images() {
  return ByteArray({2, 3, 1, 2}, {0, 1, 10, 11, 20, 21,  //
                                  100, 101, 110, 111, 120, 121});
}

std::vector<float> MustMake(const Array& array, const Samples& samples,
                            const Dims& shape, const v1::DatasetSpec& spec) {
  const auto input = MakeInput(array, samples, shape, spec);
  EXPECT_TRUE(input.ok()) << input.status();
  return input.ok() ? *input : std::vector<float>();
}

TEST(MakeInput, TakesTheSamplesInTheOrderAsked) {
  EXPECT_THAT(MustMake(ByteArray({3, 1}, {5, 6, 7}), {2, 0, 2}, {1, 1}, {}),
              ElementsAre(7, 5, 7));
}

TEST(MakeInput, ScalesShiftsAndDividesPerChannel) {
  v1::DatasetSpec spec;
  spec.set_scale(0.5);
  for (const double mean : {0, 5, 10}) spec.add_mean(mean);
  for (const double std : {1, 2, 4}) spec.add_std(std);
  EXPECT_THAT(MustMake(Images(), {0}, {1, 3, 1, 2}, spec),
              ElementsAre(0, 0.5, 0, 0.25, 0, 0.125));
}

TEST(MakeInput, OneMeanServesAllChannels) {
  v1::DatasetSpec spec;
  spec.add_mean(1);
  spec.add_std(2);
  EXPECT_THAT(MustMake(Images(), {0}, {1, 3, 1, 2}, spec),
              ElementsAre(-0.5, 0, 4.5, 5, 9.5, 10));
}

TEST(MakeInput, ReversesChannelsBeforeTheMeanIsSubtracted) {
  v1::DatasetSpec spec;
  spec.set_is_bgr(true);
  for (const double mean : {20, 10, 0}) spec.add_mean(mean);
  EXPECT_THAT(MustMake(Images(), {0}, {1, 3, 1, 2}, spec),
              ElementsAre(0, 1, 0, 1, 0, 1));
}

TEST(FitShape, FillsTheSizesThatAModelLeavesOpen) {
  const Array images = ByteArray({1, 3, 2, 4}, std::vector<uint8_t>(24));
  v1::DatasetSpec spec;
  EXPECT_EQ(*FitShape(images, Dims{-1, 3, -1, -1}, spec), (Dims{1, 3, 2, 4}));
  EXPECT_EQ(*FitShape(images, Dims{1, -1, -1, 3}, spec), (Dims{1, 2, 4, 3}));
  spec.set_layout("nhwc");
  EXPECT_EQ(*FitShape(images, Dims{1, 4, -1, -1}, spec), (Dims{1, 4, 3, 2}));
  const Array steps = ByteArray({2, 5, 1}, std::vector<uint8_t>(10));
  EXPECT_EQ(*FitShape(steps, Dims{-1, -1}, {}), (Dims{1, 5}));
  EXPECT_EQ(*FitShape(steps, Dims{-1, 1, -1, 1}, {}), (Dims{1, 1, 5, 1}));
  EXPECT_THAT(FitShape(images, Dims{-1, 5, -1, -1}, {}).status().message(),
              HasSubstr("[3, 2, 4] do not fit"));
  EXPECT_FALSE(FitShape(steps, Dims{-1, 4, -1}, {}).ok());
}

TEST(MakeInput, TurnsTheLayoutToThatOfTheModel) {
  const Array channels_last = ByteArray({1, 1, 2, 3}, {0, 10, 20, 1, 11, 21});
  const Array channels_first = ByteArray({1, 3, 1, 2}, {0, 1, 10, 11, 20, 21});
  v1::DatasetSpec nhwc;
  nhwc.set_layout("nhwc");
  v1::DatasetSpec nchw;
  nchw.set_layout("nchw");
  const auto first = ElementsAre(0, 1, 10, 11, 20, 21);
  const auto last = ElementsAre(0, 10, 20, 1, 11, 21);
  EXPECT_THAT(MustMake(channels_last, {0}, {1, 3, 1, 2}, nhwc), first);
  EXPECT_THAT(MustMake(channels_last, {0}, {1, 1, 2, 3}, nhwc), last);
  EXPECT_THAT(MustMake(channels_first, {0}, {1, 3, 1, 2}, nchw), first);
  EXPECT_THAT(MustMake(channels_first, {0}, {1, 1, 2, 3}, nchw), last);
}

TEST(MakeInput, KeepsChannelNumbersWithTheirChannelsInEveryLayout) {
  v1::DatasetSpec spec;
  for (const double mean : {0, 10, 20}) spec.add_mean(mean);
  EXPECT_THAT(MustMake(Images(), {0}, {1, 1, 2, 3}, spec),
              ElementsAre(0, 0, 0, 1, 1, 1));
  spec.set_layout("nhwc");
  const Array last = ByteArray({1, 1, 2, 3}, {0, 10, 20, 1, 11, 21});
  EXPECT_THAT(MustMake(last, {0}, {1, 1, 2, 3}, spec),
              ElementsAre(0, 0, 0, 1, 1, 1));
}

TEST(MakeInput, ForgivesDimensionsOfSizeOne) {
  const Array flat = ByteArray({1, 2, 2}, {1, 2, 3, 4});
  EXPECT_THAT(MustMake(flat, {0}, {1, 1, 2, 2}, {}), ElementsAre(1, 2, 3, 4));
  const Array deep = ByteArray({1, 1, 2, 2}, {1, 2, 3, 4});
  EXPECT_THAT(MustMake(deep, {0}, {1, 2, 2}, {}), ElementsAre(1, 2, 3, 4));
}

TEST(MakeInput, ReadsEveryType) {
  EXPECT_THAT(MustMake(ArrayOf<int8_t>(Array::Type::kInt8, {1, 2}, {-128, 3}),
                       {0}, {1, 2}, {}),
              ElementsAre(-128, 3));
  EXPECT_THAT(MustMake(FloatArray({1, 2}, {0.5, -3}), {0}, {1, 2}, {}),
              ElementsAre(0.5, -3));
  EXPECT_THAT(MustMake(ArrayOf<int32_t>(Array::Type::kInt32, {1, 1}, {70000}),
                       {0}, {1, 1}, {}),
              ElementsAre(70000));
  EXPECT_THAT(MustMake(ArrayOf<int64_t>(Array::Type::kInt64, {1, 1}, {-70000}),
                       {0}, {1, 1}, {}),
              ElementsAre(-70000));
}

TEST(MakeInput, NamesBothShapesWhenTheyDoNotFit) {
  const auto input = MakeInput(Images(), Samples{0}, Dims{1, 3, 2, 2}, {});
  ASSERT_FALSE(input.ok());
  EXPECT_EQ(input.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(input.status().message()), HasSubstr("[3, 1, 2]"));
  EXPECT_THAT(std::string(input.status().message()), HasSubstr("[3, 2, 2]"));
}

TEST(MakeInput, RefusesSpecsThatDoNotFit) {
  v1::DatasetSpec two_means;
  two_means.add_mean(1);
  two_means.add_mean(2);
  v1::DatasetSpec zero_std;
  zero_std.add_std(0);
  v1::DatasetSpec layout;
  layout.set_layout("chwn");
  v1::DatasetSpec bgr;
  bgr.set_is_bgr(true);
  const Array grey = ByteArray({1, 1, 2, 2}, {1, 2, 3, 4});
  const Dims shape = {1, 3, 1, 2};
  const std::vector<absl::Status> refused = {
      MakeInput(Images(), Samples{0}, shape, two_means).status(),
      MakeInput(Images(), Samples{0}, shape, zero_std).status(),
      MakeInput(Images(), Samples{0}, shape, layout).status(),
      MakeInput(grey, Samples{0}, Dims{1, 1, 2, 2}, bgr).status(),
      MakeInput(Images(), Samples{2}, shape, {}).status(),
      MakeInput(Images(), Samples{-1}, shape, {}).status(),
      MakeInput(Images(), Samples{0}, Dims{}, {}).status(),
  };
  for (size_t i = 0; i < refused.size(); ++i) {
    EXPECT_EQ(refused[i].code(), absl::StatusCode::kInvalidArgument) << i;
  }
}

}  // namespace
}  // namespace lathe

#include "proto/plan.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace lathe {
namespace {

// Two layers of one group, each f32 or int8, all or half of the channels.
v1::SearchSpace TwoLayers() {
  v1::SearchSpace space;
  for (const char* name : {"conv1", "conv2"}) {
    v1::Layer* layer = space.add_layers();
    layer->set_name(name);
    v1::PrecisionOption* f32 = layer->add_precisions();
    f32->set_precision(v1::F32);
    f32->set_weight_bits(32);
    v1::PrecisionOption* int8 = layer->add_precisions();
    int8->set_precision(v1::INT8);
    int8->set_weight_bits(4);
    layer->add_keep_ratios(1);
    layer->add_keep_ratios(0.5);
  }
  return space;
}

TEST(Plan, TheBaselineIsLegal) {
  EXPECT_TRUE(ValidatePlan(TwoLayers(), BaselinePlan(TwoLayers())).ok());
}

TEST(Plan, EqualPlansHaveEqualDigestsAndOthersDoNot) {
  v1::CompressionPlan plan = BaselinePlan(TwoLayers());
  const std::string digest = PlanDigest(plan);
  EXPECT_EQ(PlanDigest(BaselinePlan(TwoLayers())), digest);
  plan.mutable_layers(1)->set_keep_ratio(0.5);
  EXPECT_NE(PlanDigest(plan), digest);
}

TEST(Plan, RefusesWhatTheSpaceDoesNotOffer) {
  v1::CompressionPlan plan = BaselinePlan(TwoLayers());
  plan.mutable_layers(1)->set_precision(v1::BF16);
  EXPECT_THAT(ValidatePlan(TwoLayers(), plan).message(),
              testing::HasSubstr("layer conv2: bf16 with 32-bit weights"));
  plan = BaselinePlan(TwoLayers());
  plan.mutable_layers(0)->set_keep_ratio(0.3);
  EXPECT_THAT(ValidatePlan(TwoLayers(), plan).message(),
              testing::HasSubstr("keep_ratio = 0.3"));
  plan.mutable_layers()->RemoveLast();
  EXPECT_THAT(ValidatePlan(TwoLayers(), plan).message(),
              testing::HasSubstr("the plan has 1 layers"));
}

TEST(Plan, RefusesUnequalRatiosInAGroup) {
  v1::CompressionPlan plan = BaselinePlan(TwoLayers());
  plan.mutable_layers(0)->set_keep_ratio(0.5);
  EXPECT_THAT(ValidatePlan(TwoLayers(), plan).message(),
              testing::HasSubstr("its group 0 keeps 0.5"));
}

TEST(Plan, KeepsAtLeastOneChannel) {
  EXPECT_EQ(KeptChannels(16, 0.75), 12);
  EXPECT_EQ(KeptChannels(3, 0.01), 1);
}

}  // namespace
}  // namespace lathe

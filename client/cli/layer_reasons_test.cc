#include "client/cli/layer_reasons.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "proto/plan.h"

namespace lathe {
namespace {

using ::testing::EndsWith;
using ::testing::HasSubstr;

void Offer(v1::Layer* layer, v1::Precision precision, int bits) {
  v1::PrecisionOption* option = layer->add_precisions();
  option->set_precision(precision);
  option->set_weight_bits(bits);
}

void AddTime(v1::BaselineReport* report, int layer, v1::Precision precision,
             double us, double reorder_us) {
  auto* entry = report->mutable_latency_table()->add_entries();
  entry->set_layer(layer);
  entry->set_precision(precision);
  entry->set_in_channels(16);
  entry->set_out_channels(16);
  entry->set_latency_us(us);
  entry->set_reorder_us(reorder_us);
}

// Layer 0 gains from int8, layer 1 does not.
v1::BaselineReport MakeReport() {
  v1::BaselineReport report;
  for (const char* name : {"fast", "slow"}) {
    v1::Layer* layer = report.mutable_space()->add_layers();
    layer->set_name(name);
    layer->set_in_channels(16);
    layer->set_out_channels(16);
    Offer(layer, v1::F32, 32);
    for (const int bits : {8, 4}) Offer(layer, v1::INT8, bits);
    layer->add_keep_ratios(1);
    layer->add_keep_ratios(0.5);
  }
  AddTime(&report, 0, v1::F32, 10, 0);
  AddTime(&report, 0, v1::INT8, 4, 0.1);
  AddTime(&report, 1, v1::F32, 10, 0);
  AddTime(&report, 1, v1::INT8, 12, 4.8);
  v1::Sensitivity* sensitivity = report.mutable_sensitivity();
  sensitivity->set_samples(200);
  sensitivity->set_baseline_correct(180);
  for (const int bits : {8, 4}) {
    auto* entry = sensitivity->add_entries();
    entry->mutable_choice()->set_precision(v1::INT8);
    entry->mutable_choice()->set_weight_bits(bits);
    entry->mutable_choice()->set_keep_ratio(1);
    entry->set_correct(bits == 8 ? 180 : 177);
    entry->set_kl_divergence(bits == 8 ? 0.001 : 0.02);
  }
  auto* kept = sensitivity->add_entries();
  kept->mutable_choice()->set_precision(v1::F32);
  kept->mutable_choice()->set_weight_bits(32);
  kept->mutable_choice()->set_keep_ratio(0.5);
  kept->set_correct(170);
  kept->set_kl_divergence(0.3);
  report.mutable_space()->mutable_layers(1)->set_group(1);
  return report;
}

LayerReason Explain(int layer, v1::Precision precision, int bits,
                    double keep_ratio = 1) {
  const v1::BaselineReport report = MakeReport();
  v1::CompressionPlan plan = BaselinePlan(report.space());
  plan.mutable_layers(layer)->set_precision(precision);
  plan.mutable_layers(layer)->set_weight_bits(bits);
  plan.mutable_layers(layer)->set_keep_ratio(keep_ratio);
  return ExplainLayers(report, plan)[layer];
}

TEST(LayerReasons, NameWhatIsSlowerAndHowMuchOfItIsReorder) {
  EXPECT_EQ(Explain(1, v1::F32, 32).why,
            "int8 is not faster here: 12.0 us against 10.0; 40 % of it is "
            "reorder");
}

TEST(LayerReasons, TellWhatAPrecisionSavesAndCostsAlone) {
  const LayerReason reason = Explain(0, v1::INT8, 4);
  EXPECT_EQ(reason.why,
            "int8 saves 6.0 of 10.0 us; 4 bits instead of 8 save bytes, not "
            "time; alone it costs +1.5 points (divergence 0.02)");
  EXPECT_DOUBLE_EQ(*reason.lost_ratio, 3.0 / 200);
  EXPECT_DOUBLE_EQ(*reason.f32_us, 10);
  EXPECT_DOUBLE_EQ(*reason.chosen_us, 4);
}

TEST(LayerReasons, OfAnUnchangedLayerTellWhatWouldHaveBeenSaved) {
  EXPECT_THAT(Explain(0, v1::F32, 32).why,
              HasSubstr("int8 would save 6.0 of 10.0 us and costs +0.0 points "
                        "(divergence 0.001)"));
  EXPECT_FALSE(Explain(0, v1::F32, 32).lost_ratio.has_value());
}

TEST(LayerReasons, SayHowManyChannelsAreKeptAndWhatThatCosts) {
  EXPECT_THAT(Explain(0, v1::INT8, 8, 0.5).why,
              EndsWith("keeps 50 % of its channels, which alone costs +5.0 "
                       "points (divergence 0.3)"));
  EXPECT_THAT(Explain(1, v1::F32, 32, 0.5).why,
              EndsWith("keeps 50 % of its channels"));
}

TEST(LayerReasons, WithoutMeasurementsAreStillThere) {
  v1::BaselineReport report = MakeReport();
  report.clear_sensitivity();
  report.clear_latency_table();
  v1::CompressionPlan plan = BaselinePlan(report.space());
  plan.mutable_layers(0)->set_precision(v1::INT8);
  plan.mutable_layers(0)->set_weight_bits(8);
  const auto reasons = ExplainLayers(report, plan);
  EXPECT_EQ(reasons[0].why, "nothing was measured of it alone");
  EXPECT_THAT(reasons[1].why, HasSubstr("int8 was not timed"));
  EXPECT_FALSE(reasons[0].f32_us.has_value());
}

}  // namespace
}  // namespace lathe

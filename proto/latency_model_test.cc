#include "proto/latency_model.h"

#include <gtest/gtest.h>

namespace lathe {
namespace {

// Layer 1 reads layer 0 and may be pruned no further.
v1::SearchSpace TwoLayers() {
  v1::SearchSpace space;
  for (int i = 0; i < 2; ++i) {
    v1::Layer* layer = space.add_layers();
    layer->set_kind("conv");
    layer->set_in_channels(i == 0 ? 3 : 32);
    layer->set_out_channels(32);
    layer->set_macs(1000);
    layer->set_group(i);
  }
  space.mutable_layers(1)->add_input_groups(0);
  return space;
}

void AddEntry(int layer, v1::Precision precision, v1::Precision source,
              int64_t in, int64_t out, double us, v1::LatencyTable* table) {
  v1::LatencyTable::Entry* entry = table->add_entries();
  entry->set_layer(layer);
  entry->set_precision(precision);
  entry->set_source_precision(source);
  entry->set_in_channels(in);
  entry->set_out_channels(out);
  entry->set_latency_us(us);
}

v1::CompressionPlan Plan(v1::Precision first, double keep,
                         v1::Precision second) {
  v1::CompressionPlan plan;
  plan.add_layers()->set_precision(first);
  plan.mutable_layers(0)->set_keep_ratio(keep);
  plan.add_layers()->set_precision(second);
  plan.mutable_layers(1)->set_keep_ratio(1);
  return plan;
}

v1::LatencyTable TableOfTwo() {
  v1::LatencyTable table;
  table.set_other_us(5);
  const v1::Precision same = v1::PRECISION_UNSPECIFIED;
  AddEntry(0, v1::F32, same, 3, 32, 10, &table);
  AddEntry(0, v1::F32, same, 3, 16, 6, &table);
  AddEntry(1, v1::F32, same, 32, 32, 100, &table);
  AddEntry(1, v1::F32, same, 16, 32, 60, &table);
  AddEntry(1, v1::INT8, same, 32, 32, 30, &table);
  AddEntry(1, v1::INT8, same, 16, 32, 20, &table);
  AddEntry(1, v1::INT8, v1::F32, 32, 32, 38, &table);
  return table;
}

TEST(SourceLayers, AreTheNearestThatMakeTheInput) {
  const auto sources = SourceLayers(TwoLayers());
  EXPECT_FALSE(sources[0].has_value());
  EXPECT_EQ(sources[1], 0);
}

TEST(KeptInputChannels, FollowTheGroupsThatTheyComeFrom) {
  const auto kept = KeptInputChannels(TwoLayers(), Plan(v1::F32, 0.5, v1::F32));
  EXPECT_EQ(kept, (std::vector<int64_t>{3, 16}));
}

TEST(LatencyModel, SumsLayersAndTheRest) {
  const LatencyModel model(TwoLayers(), TableOfTwo());
  EXPECT_DOUBLE_EQ(model.PredictUs(Plan(v1::F32, 1, v1::F32)), 5 + 10 + 100);
  EXPECT_DOUBLE_EQ(model.PredictUs(Plan(v1::F32, 0.5, v1::F32)), 5 + 6 + 60);
}

TEST(LatencyModel, AddsWhatConversionBetweenPrecisionsCosts) {
  const LatencyModel model(TwoLayers(), TableOfTwo());
  // 8 us more than from an int8 layer, half of it at half the channels.
  EXPECT_DOUBLE_EQ(model.PredictUs(Plan(v1::F32, 1, v1::INT8)),
                   5 + 10 + 30 + 8);
  EXPECT_DOUBLE_EQ(model.PredictUs(Plan(v1::F32, 0.5, v1::INT8)),
                   5 + 6 + 20 + 4);
}

}  // namespace
}  // namespace lathe

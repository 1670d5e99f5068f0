#include "agent/feasibility.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <utility>
#include <vector>

namespace lathe {
namespace {

using ::testing::ElementsAre;

// Two layers in a row, each 32, 8 or 4 bits wide and whole or half.
DecisionSpace HalvableLayers() {
  v1::SearchSpace space;
  for (int i = 0; i < 2; ++i) {
    v1::Layer* const layer = space.add_layers();
    layer->set_name(i == 0 ? "first" : "second");
    layer->set_in_channels(8);
    layer->set_out_channels(8);
    layer->set_group(i);
    if (i > 0) layer->add_input_groups(i - 1);
    for (const int bits : {32, 8, 4}) {
      v1::PrecisionOption* const option = layer->add_precisions();
      option->set_precision(bits == 32 ? v1::F32 : v1::INT8);
      option->set_weight_bits(bits);
    }
    layer->add_keep_ratios(1);
    layer->add_keep_ratios(0.5);
  }
  return *DecisionSpace::Make(std::move(space));
}

// Options and keep choices of both layers.
Choices Plan(const DecisionSpace& space, std::vector<int> options,
             std::vector<int> keeps) {
  Choices plan(space.size(), 0);
  for (int layer = 0; layer < 2; ++layer) {
    plan[space.option_decision(layer)] = options[layer];
    plan[space.keep_decision(space.group_of(layer))] = keeps[layer];
  }
  return plan;
}

Evaluated Row(Choices plan, bool is_feasible) {
  Evaluated row;
  row.choices = std::move(plan);
  row.is_feasible = is_feasible;
  row.divergence = is_feasible ? 0.1 : kInfeasibleDivergence;
  return row;
}

TEST(Feasibility, HoldsALayersOptionAndKeepTogetherAgainstPlans) {
  const DecisionSpace space = HalvableLayers();
  const Feasibility feasibility(&space,
                                {Row(Plan(space, {0, 0}, {0, 0}), true),
                                 Row(Plan(space, {1, 0}, {0, 0}), true),
                                 Row(Plan(space, {0, 0}, {1, 0}), false),
                                 Row(Plan(space, {0, 1}, {1, 0}), false)});
  // The first layer at 32 bits, halved; the second at 8 bits has failed once.
  EXPECT_EQ(feasibility.Doubts(Plan(space, {0, 0}, {1, 0})), 2);
  EXPECT_EQ(feasibility.Doubts(Plan(space, {0, 2}, {1, 1})), 2);
  EXPECT_EQ(feasibility.Doubts(Plan(space, {1, 1}, {0, 0})), 1);
  EXPECT_EQ(feasibility.Doubts(Plan(space, {1, 0}, {1, 0})), 0);
  EXPECT_EQ(feasibility.Doubts(Plan(space, {2, 0}, {1, 0})), 0);
}

TEST(Feasibility, OneFeasiblePlanClearsALayersChoice) {
  const DecisionSpace space = HalvableLayers();
  const Choices failed = Plan(space, {0, 0}, {1, 0});
  const std::vector<Evaluated> rows = {Row(failed, false),
                                       Row(Plan(space, {0, 1}, {1, 0}), true)};
  EXPECT_EQ(Feasibility(&space, rows).Doubts(failed), 1);
  std::vector<Evaluated> more = rows;
  more.push_back(Row(Plan(space, {1, 0}, {0, 0}), true));
  // Each layer alone works elsewhere.
  EXPECT_EQ(Feasibility(&space, more).Doubts(failed), 0);
}

TEST(Feasibility, OnlyFailuresThatNoLayerExplainsTellOfDivergences) {
  const DecisionSpace space = HalvableLayers();
  const Evaluated halved = Row(Plan(space, {0, 0}, {1, 0}), false);
  const Evaluated first = Row(Plan(space, {2, 0}, {0, 0}), true);
  const Evaluated second = Row(Plan(space, {0, 2}, {0, 0}), true);
  // What neither layer does alone.
  const Evaluated both = Row(Plan(space, {2, 2}, {0, 0}), false);
  const std::vector<Evaluated> rows = {halved, first, second, both};
  std::vector<Choices> telling;
  for (const Evaluated& row : Feasibility(&space, rows).Telling(rows)) {
    telling.push_back(row.choices);
  }
  EXPECT_THAT(telling,
              ElementsAre(first.choices, second.choices, both.choices));
}

TEST(Feasibility, DoubtsNothingWithoutTrials) {
  const DecisionSpace space = HalvableLayers();
  EXPECT_EQ(Feasibility(&space).Doubts(Plan(space, {2, 2}, {1, 1})), 0);
}

}  // namespace
}  // namespace lathe

#include "agent/cost_model.h"

#include <cmath>
#include <limits>
#include <string>

#include "agent/random.h"
#include "agent/reachability.h"
#include "agent/search_core.h"
#include "agent/testing/synthetic_network.h"
#include "gtest/gtest.h"
#include "proto/plan.h"

namespace lathe {
namespace {

SyntheticOptions Small() {
  SyntheticOptions options;
  options.layers = 4;
  options.keep_levels = 3;
  options.has_low_bits = false;
  return options;
}

struct Fixture {
  explicit Fixture(const SyntheticOptions& options)
      : network(options),
        context(network.Context(1, 100)),
        space(*DecisionSpace::Make(context.space)),
        costs(&space, context.latency_table, context.baseline) {}

  Choices RandomChoices(Random* random) const {
    Choices choices;
    for (const Decision& decision : space.decisions()) {
      choices.push_back(random->Below(decision.count));
    }
    return choices;
  }

  SyntheticNetwork network;
  AgentContext context;
  DecisionSpace space;
  CostModel costs;
};

TEST(DecisionSpace, TurnsChoicesIntoLegalPlansAndBack) {
  const Fixture f(SyntheticOptions{});
  Random random(1);
  for (int i = 0; i < 50; ++i) {
    const Choices choices = f.RandomChoices(&random);
    const v1::CompressionPlan plan = f.space.ToPlan(choices);
    ASSERT_TRUE(ValidatePlan(f.context.space, plan).ok());
    EXPECT_EQ(*f.space.FromPlan(plan), choices);
  }
  EXPECT_EQ(PlanDigest(f.space.ToPlan(Choices(f.space.size(), 0))),
            PlanDigest(BaselinePlan(f.context.space)));
}

TEST(SearchCore, LearnsTheLatencyOfWholeMeasurementsAndNoLooks) {
  const SyntheticNetwork network(Small());
  const auto core = SearchCore::Make(network.Context(1, 100));
  ASSERT_TRUE(core.ok()) << core.status();
  const DecisionSpace& space = (*core)->space();
  Choices choices(space.size(), 0);
  choices[space.option_decision(1)] = 1;
  v1::Proposal proposal;
  *proposal.mutable_plan() = space.ToPlan(choices);
  v1::Trial trial = network.Run(proposal, /*number=*/1);
  v1::Measurement& look = *trial.mutable_measurement();
  const double predicted = (*core)->PredictedLatencyRatio(choices);
  look.mutable_early_stop()->set_samples(64);
  look.set_latency_ratio(0.5 * predicted);
  (*core)->Learn(trial);
  EXPECT_EQ((*core)->PredictedLatencyRatio(choices), predicted);
  look.clear_early_stop();
  (*core)->Learn(trial);
  EXPECT_LT((*core)->PredictedLatencyRatio(choices), 0.9 * predicted);
}

TEST(DecisionSpace, AGroupOffersWhatAllItsLayersAllow) {
  v1::SearchSpace space = SyntheticNetwork(Small()).Context(1, 1).space;
  v1::Layer* layer = space.mutable_layers(0);
  layer->mutable_keep_ratios()->RemoveLast();
  const int group = layer->group();
  const DecisionSpace made = *DecisionSpace::Make(space);
  EXPECT_EQ(made.groups()[made.group_of(0)].keep_ratios.size(), 2u);
  EXPECT_EQ(space.layers(0).group(), group);
}

TEST(CostModel, IntegerWeightsOfAFloatLayerTakeBytes) {
  SyntheticOptions options = Small();
  AgentContext context = SyntheticNetwork(options).Context(1, 100);
  v1::PrecisionOption* option =
      context.space.mutable_layers(1)->add_precisions();
  option->set_precision(v1::F32);
  option->set_weight_bits(8);
  const int last = context.space.layers(1).precisions_size() - 1;
  const DecisionSpace space = *DecisionSpace::Make(context.space);
  const CostModel costs(&space, context.latency_table, context.baseline);
  Choices choices(space.size(), 0);
  const double whole = costs.Bytes(choices);
  choices[space.option_decision(1)] = last;
  // A byte in place of four for each weight.
  EXPECT_NEAR(whole - costs.Bytes(choices),
              3.0 * static_cast<double>(context.space.layers(1).parameters()),
              1e-6 * whole);
  EXPECT_EQ(costs.LatencyUs(choices),
            costs.LatencyUs(Choices(space.size(), 0)));
}

TEST(LatencyCurves, GiveWhatWasMeasuredAndValuesBetween) {
  v1::SearchSpace space;
  v1::Layer* layer = space.add_layers();
  layer->set_in_channels(16);
  layer->set_out_channels(16);
  v1::LatencyTable table;
  for (const int out : {16, 8}) {
    v1::LatencyTable::Entry* entry = table.add_entries();
    entry->set_precision(v1::F32);
    entry->set_in_channels(16);
    entry->set_out_channels(out);
    entry->set_latency_us(out == 16 ? 100 : 60);
  }
  const LatencyCurves curves(space, table, 1000);
  EXPECT_DOUBLE_EQ(curves.Us(0, v1::F32, 16, 16), 100);
  EXPECT_DOUBLE_EQ(curves.Us(0, v1::F32, 16, 8), 60);
  EXPECT_DOUBLE_EQ(curves.Us(0, v1::F32, 16, 12), 80);
  // Half of the least measured is fixed cost.
  EXPECT_DOUBLE_EQ(curves.Us(0, v1::F32, 16, 4), 45);
  // Never measured in int8: no gain is promised.
  EXPECT_DOUBLE_EQ(curves.Us(0, v1::INT8, 16, 16), 100);
}

TEST(CostModel, PredictsTheBaselineAsMeasured) {
  const Fixture f(SyntheticOptions{});
  const Choices uncompressed(f.space.size(), 0);
  EXPECT_NEAR(f.costs.LatencyUs(uncompressed) / f.costs.baseline_us(), 1, 0.01);
  EXPECT_NEAR(f.costs.Bytes(uncompressed) / f.costs.baseline_bytes(), 1, 0.01);
}

TEST(CostModel, LearnsFromTrialsWhatTheTableHasWrong) {
  Fixture f(SyntheticOptions{});
  const auto mean_error = [&f] {
    Random held_out(3);
    double sum = 0;
    for (int i = 0; i < 50; ++i) {
      const Choices choices = f.RandomChoices(&held_out);
      const v1::Measurement m = f.network.Measure(f.space.ToPlan(choices));
      sum += (f.costs.LatencyUs(choices) / m.latency_us() - 1) / 50;
    }
    return std::abs(sum);
  };
  const double before = mean_error();
  Random random(2);
  for (int i = 0; i < 30; ++i) {
    const Choices choices = f.RandomChoices(&random);
    f.costs.Observe(choices, f.network.Measure(f.space.ToPlan(choices)));
  }
  // The kernels of the network run 12 % slower than in the table, and plans
  // lie between its points: both are biases, and learnt; what is left scatters.
  EXPECT_LT(mean_error(), before / 4);
}

TEST(CostModel, LearnsOfEveryPrecision) {
  AgentContext context = SyntheticNetwork(Small()).Context(1, 100);
  for (v1::Layer& layer : *context.space.mutable_layers()) {
    v1::PrecisionOption* option = layer.add_precisions();
    option->set_precision(v1::INT8_DYNAMIC);
    option->set_weight_bits(8);
  }
  const DecisionSpace space = *DecisionSpace::Make(context.space);
  CostModel costs(&space, context.latency_table, context.baseline);
  const CostModel before = costs;
  Random random(5);
  for (int i = 0; i < 30; ++i) {
    Choices choices;
    for (const Decision& decision : space.decisions()) {
      choices.push_back(decision.is_keep ? random.Below(decision.count)
                                         : decision.count - 1);
    }
    v1::Measurement measured = context.baseline;
    measured.set_latency_us(1.15 * before.LatencyUs(choices));
    measured.set_latency_ratio(measured.latency_us() /
                               context.baseline.latency_us());
    costs.Observe(choices, measured);
  }
  Choices dynamic;
  for (const Decision& decision : space.decisions()) {
    dynamic.push_back(decision.is_keep ? 0 : decision.count - 1);
  }
  EXPECT_NEAR(costs.LatencyUs(dynamic) / before.LatencyUs(dynamic), 1.15, 0.04);
}

TEST(CostModel, OneWildMeasurementMovesPredictionsLittle) {
  Fixture f(SyntheticOptions{});
  Random random(4);
  for (int i = 0; i < 20; ++i) {
    const Choices choices = f.RandomChoices(&random);
    f.costs.Observe(choices, f.network.Measure(f.space.ToPlan(choices)));
  }
  const Choices probe = f.RandomChoices(&random);
  const double before = f.costs.LatencyUs(probe);
  v1::Measurement wild = f.network.Measure(f.space.ToPlan(probe));
  wild.set_latency_ratio(10 * wild.latency_ratio());
  f.costs.Observe(probe, wild);
  EXPECT_NEAR(f.costs.LatencyUs(probe) / before, 1, 0.1);
}

// Least predicted latency of plans that begin with `prefix`, by trying all.
double SlowLeast(const Fixture& f, Choices prefix) {
  const size_t d = prefix.size();
  if (d == static_cast<size_t>(f.space.size())) {
    return f.costs.LatencyUs(prefix);
  }
  double least = std::numeric_limits<double>::infinity();
  prefix.push_back(0);
  for (int c = 0; c < f.space.decisions()[d].count; ++c) {
    prefix.back() = c;
    least = std::min(least, SlowLeast(f, prefix));
  }
  return least;
}

TEST(Reachability, BoundsAreExactForEveryPrefix) {
  const Fixture f(Small());
  const Reachability reachability(&f.space, &f.costs);
  for (uint64_t seed = 0; seed < 5; ++seed) {
    Random random(seed);
    const Choices choices = f.RandomChoices(&random);
    PrefixWalker walker(&reachability);
    while (!walker.is_complete()) {
      const size_t d = walker.choices().size();
      // Trying all is slow at the root; two decisions in, it is not.
      if (d >= 2) {
        EXPECT_NEAR(walker.bound().us, SlowLeast(f, walker.choices()), 1e-6)
            << "seed " << seed << ", decision " << d;
      }
      walker.Push(choices[d]);
    }
    EXPECT_NEAR(walker.bound().us, f.costs.LatencyUs(choices), 1e-6);
    EXPECT_NEAR(walker.spent().us, f.costs.LatencyUs(choices), 1e-6);
    EXPECT_NEAR(walker.bound().bytes, f.costs.Bytes(choices), 1e-3);
  }
}

TEST(Reachability, FollowingAllowedChoicesAlwaysMeetsAReachableLimit) {
  const Fixture f(SyntheticOptions{});
  const Reachability reachability(&f.space, &f.costs);
  Random random(5);
  for (const double room : {1.0, 1.1, 1.5, 3.0}) {
    Limits limits;
    limits.us = room * reachability.least_us();
    PrefixWalker walker(&reachability);
    while (!walker.is_complete()) {
      const std::vector<int> allowed = walker.Allowed(limits);
      ASSERT_FALSE(allowed.empty());
      walker.Push(allowed[random.Below(static_cast<int>(allowed.size()))]);
    }
    EXPECT_LE(f.costs.LatencyUs(walker.choices()), limits.us * (1 + 1e-6));
  }
}

TEST(Reachability, PopUndoesPush) {
  const Fixture f(Small());
  const Reachability reachability(&f.space, &f.costs);
  PrefixWalker walker(&reachability);
  const double bound = walker.bound().us;
  Random random(6);
  for (const int choice : f.RandomChoices(&random)) walker.Push(choice);
  while (!walker.choices().empty()) walker.Pop();
  EXPECT_EQ(walker.bound().us, bound);
  EXPECT_EQ(walker.keeps(), std::vector<int>(f.space.groups().size(), 0));
}

}  // namespace
}  // namespace lathe

#include "agent/divergence_model.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <memory>
#include <string>
#include <vector>

#include "agent/accuracy_curve.h"
#include "agent/additive_solver.h"
#include "agent/budget_grid.h"
#include "agent/ddpg_learner.h"
#include "agent/policy.h"
#include "agent/policy_teacher.h"
#include "agent/rank_correlation.h"
#include "agent/testing/synthetic_network.h"
#include "gtest/gtest.h"

namespace lathe {
namespace {

struct Fixture {
  Fixture() : network(Options()), context(network.Context(1, 100)) {
    core = *SearchCore::Make(context);
    model = std::make_unique<DivergenceModel>(&core->space(),
                                              context.baseline.kl_divergence());
  }
  static SyntheticOptions Options() {
    SyntheticOptions options;
    options.layers = 5;
    options.keep_levels = 3;
    options.has_low_bits = false;
    return options;
  }
  Evaluated Run(const Choices& choices) const {
    v1::Trial trial;
    trial.set_state(v1::TRIAL_MEASURED);
    *trial.mutable_measurement() =
        network.Measure(core->space().ToPlan(choices));
    return Evaluate(*core, trial, choices);
  }
  // Fits to `count` random plans; returns them.
  std::vector<Evaluated> Fit(int count) {
    Random random(1);
    std::vector<Evaluated> rows = {EvaluatedBaseline(*core)};
    while (static_cast<int>(rows.size()) < count) {
      rows.push_back(Run(core->RandomPlan({}, random.Uniform(), &random)));
    }
    model->Fit(rows);
    model->Fit(rows);
    return rows;
  }

  SyntheticNetwork network;
  AgentContext context;
  std::unique_ptr<SearchCore> core;
  std::unique_ptr<DivergenceModel> model;
};

TEST(DivergenceModel, PredictsPlansItHasNotSeenAndKnowsHowWell) {
  Fixture f;
  f.Fit(80);
  Random random(2);
  std::vector<Choices> plans;
  for (int i = 0; i < 200; ++i) {
    plans.push_back(f.core->RandomPlan({}, random.Uniform(), &random));
  }
  const auto predictions = f.model->Predict(plans);
  int within = 0;
  double squares = 0;
  for (size_t i = 0; i < plans.size(); ++i) {
    const double error =
        predictions[i].log_mean -
        std::log(f.Run(plans[i]).divergence + DivergenceModel::kFloor);
    squares += error * error;
    within += std::abs(error) <= 2 * predictions[i].log_sd + 0.04;
  }
  // Divergences range over a factor of a thousand.
  EXPECT_LT(std::sqrt(squares / plans.size()), 0.35);
  EXPECT_GT(within, 0.8 * plans.size());
}

TEST(DivergenceModel, GivesBackWhatItWasFittedTo) {
  Fixture f;
  const std::vector<Evaluated> rows = f.Fit(60);
  for (const Evaluated& row : rows) {
    const auto prediction = f.model->Predict({row.choices})[0];
    EXPECT_NEAR(prediction.Mean() + DivergenceModel::kFloor,
                row.divergence + DivergenceModel::kFloor,
                0.1 * (row.divergence + DivergenceModel::kFloor));
    EXPECT_LE(prediction.Optimistic(1), prediction.Mean());
  }
}

TEST(DivergenceModel, AHarsherChoiceNeverHasLessDamage) {
  Fixture f;
  f.Fit(40);
  for (int d = 0; d < f.core->space().size(); ++d) {
    for (int c = 1; c < f.core->space().decisions()[d].count; ++c) {
      EXPECT_GE(f.model->ChoiceDamage(d, c), f.model->ChoiceDamage(d, c - 1));
    }
  }
}

TEST(AccuracyCurve, IsTheNearestFallingFunction) {
  std::vector<Evaluated> rows(4);
  const double divergences[] = {0, 0.1, 0.2, 0.4};
  const double accuracies[] = {1, 0.9, 0.94, 0.5};
  for (int i = 0; i < 4; ++i) {
    rows[i].divergence = divergences[i];
    rows[i].accuracy_ratio = accuracies[i];
  }
  AccuracyCurve curve;
  EXPECT_EQ(curve.At(0.3), 1);
  curve.Fit(rows);
  // The second and the third violate the order and are pooled.
  EXPECT_DOUBLE_EQ(curve.At(0.1), 0.92);
  EXPECT_DOUBLE_EQ(curve.At(0.15), 0.92);
  EXPECT_DOUBLE_EQ(curve.At(0.05), 0.96);
  EXPECT_DOUBLE_EQ(curve.At(0.3), 0.71);
  EXPECT_DOUBLE_EQ(curve.At(9), 0.5);
  // Of three times as many samples.
  rows[2].weight = 3 * rows[1].weight;
  curve.Fit(rows);
  EXPECT_DOUBLE_EQ(curve.At(0.1), 0.93);
}

TEST(RankCorrelation, IsSpearmansWithSharedRanks) {
  EXPECT_NEAR(RankCorrelation({1, 2, 3, 4}, {10, 20, 30, 90}), 1, 1e-12);
  EXPECT_NEAR(RankCorrelation({1, 2, 3, 4}, {4, 3, 2, 1}), -1, 1e-12);
  // Ranks 0.5, 0.5, 2 against 0, 1, 2.
  EXPECT_NEAR(RankCorrelation({5, 5, 9}, {1, 2, 3}), std::sqrt(0.75), 1e-12);
  EXPECT_EQ(RankCorrelation({1, 1, 1}, {1, 2, 3}), 0);
}

TEST(DivergenceModel, IsTrustedOnlyWhileItOrdersTheBestPlans) {
  Fixture f;
  std::vector<Evaluated> rows = f.Fit(60);
  EXPECT_TRUE(f.model->is_trusted());
  // What plans diverge by has nothing to do with them any more.
  Random random(7);
  for (Evaluated& row : rows) row.divergence = random.Uniform();
  DivergenceModel model(&f.core->space(), 0);
  model.Fit(rows);
  EXPECT_FALSE(model.is_trusted());
  const std::vector<Choices> plans = {rows[7].choices, rows[20].choices};
  const auto by_nearest = model.PredictByNearest(plans);
  const auto believed = model.Predict(plans);
  for (size_t i = 0; i < plans.size(); ++i) {
    EXPECT_EQ(believed[i].log_mean, by_nearest[i].log_mean);
  }
}

TEST(DivergenceModel, NearestRowSaysByWhatASumIsOff) {
  Fixture f;
  const std::vector<Evaluated> rows = f.Fit(20);
  const auto log_sum = [&](const Choices& plan) {
    return std::log(f.model->Damage(plan) + DivergenceModel::kFloor);
  };
  const Evaluated& row = rows.back();
  const double measured = std::log(row.divergence + DivergenceModel::kFloor);
  EXPECT_NEAR(f.model->PredictByNearest({row.choices})[0].log_mean, measured,
              1e-9);
  // Changed in one decision, where that leaves no other row as near.
  int tried = 0;
  for (int d = 0; d < f.core->space().size(); ++d) {
    Choices child = row.choices;
    child[d] = (child[d] + 1) % f.core->space().decisions()[d].count;
    const bool is_alone =
        std::none_of(rows.begin(), rows.end() - 1, [&](const Evaluated& other) {
          int changes = 0;
          for (size_t i = 0; i < child.size(); ++i) {
            changes += static_cast<int>(other.choices[i] != child[i]);
          }
          return changes <= 1;
        });
    if (!is_alone) continue;
    ++tried;
    const double off =
        f.model->PredictByNearest({child})[0].log_mean - log_sum(child);
    EXPECT_NEAR(off, 0.85 * (measured - log_sum(row.choices)), 1e-9);
  }
  EXPECT_GT(tried, 0);
  // Nothing is known yet: the sums alone.
  const DivergenceModel blank(&f.core->space(), 0);
  EXPECT_DOUBLE_EQ(blank.PredictByNearest({row.choices})[0].log_mean,
                   std::log(DivergenceModel::kFloor));
}

// Least predicted damage within the limits, by trying all plans.
double SlowLeastDamage(const Fixture& f, const Limits& limits) {
  double least = std::numeric_limits<double>::infinity();
  Choices plan(f.core->space().size(), 0);
  for (;;) {
    if (f.core->IsWithin(plan, limits)) {
      least = std::min(least, f.model->Damage(plan));
    }
    size_t d = 0;
    while (d < plan.size() &&
           ++plan[d] == f.core->space().decisions()[d].count) {
      plan[d++] = 0;
    }
    if (d == plan.size()) return least;
  }
}

TEST(AdditiveSolver, IsWithinTheLimitsAndNearTheBestOfAllPlans) {
  Fixture f;
  f.Fit(60);
  const double least = f.core->reachability().least_us();
  for (const double share : {0.1, 0.3, 0.6}) {
    Limits limits;
    limits.us = least + share * (f.core->costs().baseline_us() - least);
    const Choices plan = LeastDamage(*f.core, *f.model, limits);
    EXPECT_TRUE(f.core->IsWithin(plan, limits));
    const double best = SlowLeastDamage(f, limits);
    EXPECT_GE(f.model->Damage(plan), best - 1e-12);
    // Off the convex hull it may miss by what one decision is worth.
    EXPECT_LE(f.model->Damage(plan), 1.3 * best + 1e-3) << "share " << share;
  }
}

TEST(BudgetGrid, GainsWhatAPlanAddsAndNothingTwice) {
  const Fixture f;
  BudgetGrid grid(*f.core);
  const double gain = grid.Gain(0.95, 0.5, 1);
  EXPECT_GT(gain, 0);
  grid.Add(0.95, 0.5, 1);
  EXPECT_EQ(grid.Gain(0.95, 0.5, 1), 0);
  EXPECT_EQ(grid.Gain(0.94, 0.6, 1), 0);
  EXPECT_GT(grid.Gain(0.94, 0.4, 1), 0);
  EXPECT_EQ(grid.BestWithin(0.9, 1), 0.95);
}

// All that is worth having may lie within a tenth of the axis.
TEST(BudgetGrid, AloneAnAxisTellsHalfPercentsOfItApart) {
  const Fixture f;
  BudgetGrid grid(*f.core);
  for (int step = 0; step < 20; ++step) {
    const double latency = 0.6 - 0.005 * step;
    EXPECT_GT(grid.Gain(0.9, latency, 1), 0) << latency;
    grid.Add(0.9, latency, 1);
  }
}

TEST(BudgetGrid, GainIsTheSumOverBudgetsOfWhatEachGains) {
  Fixture f;
  f.context.objectives = {"latency", "size"};
  f.core = *SearchCore::Make(f.context);
  BudgetGrid grid(*f.core);
  Random random(3);
  std::vector<std::array<double, 3>> added;
  const double least = f.context.least_accuracy_ratio;
  for (int i = 0; i < 30; ++i) {
    const std::array<double, 3> plan = {least + 0.2 * random.Uniform(),
                                        random.Uniform(), random.Uniform()};
    BudgetGrid before = grid;
    grid.Add(plan[0], plan[1], plan[2]);
    // The volume that all plans together gain does not depend on the order.
    double gain = 0;
    BudgetGrid rebuilt(*f.core);
    for (auto a = added.rbegin(); a != added.rend(); ++a) {
      rebuilt.Add((*a)[0], (*a)[1], (*a)[2]);
    }
    gain = rebuilt.Gain(plan[0], plan[1], plan[2]);
    EXPECT_NEAR(before.Gain(plan[0], plan[1], plan[2]), gain, 1e-12);
    added.push_back(plan);
  }
}

TEST(DdpgLearner, LearnsWhichActionARewardPrefers) {
  // One step a time: the reward is highest where the action is the state.
  DdpgLearner learner(/*state_size=*/1, /*action_size=*/1, /*seed=*/1);
  Random random(1);
  std::vector<Transition> steps(256);
  for (Transition& step : steps) {
    step.state = {static_cast<float>(0.2 + 0.6 * random.Uniform())};
    step.actions = {{static_cast<float>(random.Uniform())}, {1}};
    const float miss = step.actions.values[0] - step.state[0];
    step.reward = 1 - 4 * miss * miss;
  }
  std::vector<const Transition*> batch(64);
  for (int update = 0; update < 1500; ++update) {
    for (const Transition*& step : batch) step = &steps[random.Below(256)];
    learner.Update(batch);
  }
  EXPECT_NEAR(learner.Act({0.25f})[0], 0.25, 0.15);
  EXPECT_NEAR(learner.Act({0.75f})[0], 0.75, 0.15);
}

TEST(DdpgLearner, AnActionThatStepsLackStaysWhereItIs) {
  // All steps have the first action alone.
  DdpgLearner learner(1, 2, 1);
  const std::vector<float> before = learner.Act({0.5f});
  Random random(1);
  for (int update = 0; update < 300; ++update) {
    Transition step;
    step.state = {0.5f};
    step.actions = {{static_cast<float>(random.Uniform()), 1}, {1, 0}};
    step.reward = step.actions.values[0];
    learner.Update({&step});
  }
  const std::vector<float> after = learner.Act({0.5f});
  EXPECT_GT(after[0], before[0] + 0.1);
  EXPECT_LT(std::abs(after[1] - before[1]), 0.5 * (after[0] - before[0]));
}

TEST(DdpgLearner, EqualCallsGiveEqualBits) {
  DdpgLearner a(2, 1, 7);
  DdpgLearner b(2, 1, 7);
  Transition step;
  step.state = {0.1f, 0.2f};
  step.actions = {{0.3f}, {1}};
  step.reward = 1;
  a.Update({&step});
  DdpgLearner(2, 1, 8).Update({&step});
  b.Update({&step});
  EXPECT_EQ(a.Act({0.5f, 0.5f}), b.Act({0.5f, 0.5f}));
  EXPECT_NE(a.Act({0.5f, 0.5f}), DdpgLearner(2, 1, 8).Act({0.5f, 0.5f}));
}

struct PolicyFixture : Fixture {
  PolicyFixture()
      : grid(*core),
        choice_network(Policy::FeatureSize(), 1),
        policy(core.get(), model.get(), &grid, &choice_network) {
    Fit(30);
  }

  BudgetPrior PriorAt(double latency_ratio) const {
    EpisodeBudget budget;
    budget.latency_ratio = latency_ratio;
    return policy.PriorOf(budget);
  }

  BudgetGrid grid;
  ChoiceNetwork choice_network;
  Policy policy;
};

TEST(Policy, DrawsPlansWithinTheBudgetAsked) {
  PolicyFixture f;
  Random random(1);
  for (const Choices& plan : f.policy.Draw(f.PriorAt(0.35), 20, &random)) {
    EXPECT_LE(f.core->PredictedLatencyRatio(plan), 0.35 * (1 + 1e-6));
  }
}

TEST(Policy, WithoutMasksPlansMayExceedTheBudget) {
  PolicyFixture f;
  const Policy unmasked(f.core.get(), f.model.get(), &f.grid, &f.choice_network,
                        /*has_masks=*/false);
  Random random(1);
  bool is_any_beyond = false;
  for (const Choices& plan : unmasked.Draw(f.PriorAt(0.35), 50, &random)) {
    is_any_beyond |= f.core->PredictedLatencyRatio(plan) > 0.35 * (1 + 1e-6);
  }
  EXPECT_TRUE(is_any_beyond);
}

TEST(Policy, UntrainedItDrawsTheSolversChoicesMostOften) {
  PolicyFixture f;
  const BudgetPrior prior = f.PriorAt(0.35);
  Random random(2);
  int same = 0;
  int all = 0;
  for (const Choices& plan : f.policy.Draw(prior, 50, &random)) {
    for (size_t d = 0; d < plan.size(); ++d) {
      if (f.core->space().decisions()[d].count == 1) continue;
      ++all;
      same += plan[d] == prior.solved[d];
    }
  }
  // Chance would be one in five or so.
  EXPECT_GT(same, all / 2);
  EXPECT_LT(same, all);
}

TEST(Policy, ImitationMakesAPlanLikelier) {
  PolicyFixture f;
  const BudgetPrior prior = f.PriorAt(0.5);
  Random random(3);
  const Choices plan = f.core->RandomPlan(prior.limits, 0, &random);
  const auto log_p = [&] {
    double sum = 0;
    for (const std::optional<double>& p : f.policy.Probabilities(plan, prior)) {
      if (p) sum += std::log(*p);
    }
    return sum;
  };
  const double before = log_p();
  for (int i = 0; i < 20; ++i) {
    f.choice_network.Update(f.policy.Replay(plan, prior, /*weight=*/1));
  }
  EXPECT_GT(log_p(), before + 1);
}

TEST(Policy, ReplayHasTheChoicesThatWereExecuted) {
  PolicyFixture f;
  const BudgetPrior prior = f.PriorAt(0.5);
  Random random(4);
  for (const Choices& plan : f.policy.Draw(prior, 5, &random)) {
    size_t steps = 0;
    for (const Decision& decision : f.core->space().decisions()) {
      steps += decision.count > 1;
    }
    const std::vector<ChoiceStep> replayed = f.policy.Replay(plan, prior, 1);
    ASSERT_EQ(replayed.size(), steps);
    const auto probabilities = f.choice_network.Probabilities(replayed);
    const auto taken = f.policy.Probabilities(plan, prior);
    size_t next = 0;
    for (size_t d = 0; d < plan.size(); ++d) {
      if (f.core->space().decisions()[d].count == 1) continue;
      EXPECT_NEAR(*taken[d], probabilities[next][replayed[next].taken], 1e-6);
      ++next;
    }
  }
}

// Two choices; the second is worth more.
TEST(PolicyTeacher, RolloutsRaiseTheProbabilityOfWhatIsWorthMore) {
  PolicyFixture f;
  const Archive archive(f.core.get());
  PolicyTeacher teacher(&archive, f.model.get(), &f.policy, &f.choice_network);
  const BudgetPrior prior = f.PriorAt(0.5);
  Random random(5);
  const auto mean_us = [&] {
    Random same(6);
    double sum = 0;
    for (const Choices& plan : f.policy.Draw(prior, 200, &same)) {
      sum += f.core->PredictedLatencyRatio(plan) / 200;
    }
    return sum;
  };
  const double before = mean_us();
  for (int i = 0; i < 40; ++i) {
    const std::vector<Choices> drawn = f.policy.Draw(prior, 16, &random);
    std::vector<double> worths;
    for (const Choices& plan : drawn) {
      worths.push_back(-f.core->PredictedLatencyRatio(plan));
    }
    teacher.Reinforce(prior, drawn, worths);
  }
  EXPECT_LT(mean_us(), before - 0.01);
}

}  // namespace
}  // namespace lathe

#include "agent/finalists.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "agent/testing/synthetic_network.h"
#include "proto/fidelity.h"
#include "proto/plan.h"

namespace lathe {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr int64_t kWholeBytes = 1000;

v1::Trial WholeTrial(int64_t number, double accuracy, double divergence,
                     double latency_ratio, double size_ratio = 1) {
  v1::Trial trial;
  trial.set_number(number);
  trial.set_plan_digest(absl::StrCat("plan ", number));
  trial.set_state(v1::TRIAL_MEASURED);
  v1::Measurement& m = *trial.mutable_measurement();
  m.set_accuracy(accuracy);
  m.set_kl_divergence(divergence);
  m.set_latency_ratio(latency_ratio);
  const auto bytes = static_cast<int64_t>(size_ratio * kWholeBytes);
  m.set_size_bytes(bytes);
  m.set_packed_bytes(bytes);
  m.set_entropy_bytes(bytes);
  return trial;
}

v1::Trial LookedAt(int64_t number, double accuracy, double divergence,
                   double latency_ratio, double size_ratio = 1) {
  v1::Trial trial =
      WholeTrial(number, accuracy, divergence, latency_ratio, size_ratio);
  trial.mutable_measurement()->mutable_early_stop()->set_samples(256);
  return trial;
}

// Of a space without layers, where every plan has the latency it was given.
std::unique_ptr<Finalists> WithBaseline(
    const std::vector<std::string>& objectives = {"latency"}) {
  const v1::Trial baseline = WholeTrial(0, 1, 0, 1);
  auto made = Finalists::Make(v1::SearchSpace(), v1::LatencyTable(),
                              baseline.measurement(), objectives);
  EXPECT_TRUE(made.ok()) << made.status();
  (*made)->Add(baseline);
  return *std::move(made);
}

TEST(Finalists, AreTheLooksThatWouldRaiseTheFrontierBestFirst) {
  const std::unique_ptr<Finalists> finalists = WithBaseline();
  finalists->Add(LookedAt(1, 0.95, 0.1, 0.3));
  finalists->Add(
      LookedAt(2, 0.94, 0.12, 0.4));  // Trial 1 is better and faster.
  finalists->Add(LookedAt(3, 0.90, 0.2, 0.2));
  finalists->Add(LookedAt(4, 0.70, 0.5, 0.1));  // Below what counts.
  EXPECT_THAT(finalists->Choose(), ElementsAre(1, 3));
  EXPECT_EQ(finalists->looks(), 4);
}

TEST(Finalists, GainBesideWhatWasMeasuredWhole) {
  const std::unique_ptr<Finalists> finalists = WithBaseline();
  finalists->Add(WholeTrial(1, 0.96, 0.05, 0.25));
  finalists->Add(LookedAt(2, 0.95, 0.1, 0.3));
  finalists->Add(LookedAt(3, 0.90, 0.2, 0.2));
  EXPECT_THAT(finalists->Choose(), ElementsAre(3));
}

TEST(Finalists, AreNotThoseThatAreMeasuredWholeElsewhere) {
  const std::unique_ptr<Finalists> finalists = WithBaseline();
  const v1::Trial first = LookedAt(1, 0.95, 0.1, 0.3);
  finalists->Add(first);
  EXPECT_THAT(finalists->Choose(), ElementsAre(1));
  v1::Trial second;
  second.set_plan_digest(first.plan_digest());
  second.mutable_proposal()->set_source(absl::StrCat(kWholePrefix, "rl/seed"));
  finalists->Add(second);
  EXPECT_THAT(finalists->Choose(), IsEmpty());
}

TEST(Finalists, AreNoTwinsOfOneAnother) {
  const std::unique_ptr<Finalists> finalists = WithBaseline();
  for (int i = 0; i < 20; ++i) {
    finalists->Add(LookedAt(1 + i, 0.95, 0.1 - i * 1e-5, 0.3 + i * 1e-5));
  }
  EXPECT_EQ(finalists->Choose().size(), 1u);
}

TEST(Finalists, AreNotLedByTheLuckOfALooksSamples) {
  const std::unique_ptr<Finalists> finalists = WithBaseline();
  // More accurate with more divergence: that is chance, and the curve over all
  // looks knows it.
  finalists->Add(LookedAt(1, 0.93, 0.1, 0.3));
  finalists->Add(LookedAt(2, 0.97, 0.2, 0.31));
  EXPECT_THAT(finalists->Choose(), ElementsAre(1));
}

TEST(Finalists, WhereNothingReachesTheHypervolumesBoxAnythingCounts) {
  const std::unique_ptr<Finalists> finalists = WithBaseline();
  finalists->Add(LookedAt(1, 0.5, 1, 0.3));
  finalists->Add(LookedAt(2, 0.4, 1.5, 0.4));
  EXPECT_THAT(finalists->Choose(), ElementsAre(1));
}

TEST(Finalists, CountTheSizeWhereTheJobDoes) {
  const v1::Trial fast = LookedAt(1, 0.95, 0.1, 0.3, 1);
  const v1::Trial small = LookedAt(2, 0.94, 0.12, 1, 0.3);
  for (const auto& [objectives, expected] :
       std::vector<std::pair<std::vector<std::string>, std::vector<int64_t>>>{
           {{"latency"}, {1}},
           {{"size"}, {2}},
           {{"latency", "size"}, {1, 2}}}) {
    const std::unique_ptr<Finalists> finalists = WithBaseline(objectives);
    finalists->Add(fast);
    finalists->Add(small);
    EXPECT_THAT(finalists->Choose(),
                ::testing::UnorderedElementsAreArray(expected));
  }
}

TEST(Finalists, LatenciesArePredictedAnew) {
  const SyntheticNetwork network(SyntheticOptions{});
  const AgentContext context = network.Context(/*seed=*/1, /*trials=*/20);
  v1::CompressionPlan plan = BaselinePlan(context.space);
  for (v1::LayerChoice& layer : *plan.mutable_layers()) {
    layer.set_precision(v1::INT8);
    layer.set_weight_bits(8);
  }
  auto finalists = Finalists::Make(context.space, context.latency_table,
                                   context.baseline, context.objectives);
  ASSERT_TRUE(finalists.ok()) << finalists.status();
  const double predicted = *(*finalists)->PredictedLatencyRatio(plan);
  ASSERT_LT(predicted, 0.9);
  // It was looked at when it was thought to be slow.
  v1::Trial look = LookedAt(1, context.baseline.accuracy(), 0.01, 1.5);
  *look.mutable_proposal()->mutable_plan() = plan;
  (*finalists)->Add(look);
  EXPECT_THAT((*finalists)->Choose(), ElementsAre(1));
  // A neighbour turns out to be faster than thought.
  plan.mutable_layers(0)->set_precision(v1::F32);
  plan.mutable_layers(0)->set_weight_bits(32);
  v1::Trial whole = WholeTrial(2, 0.5, 1, 0.5 * predicted);
  *whole.mutable_proposal()->mutable_plan() = plan;
  (*finalists)->Add(whole);
  EXPECT_LT(*(*finalists)->PredictedLatencyRatio(look.proposal().plan()),
            0.9 * predicted);
}

TEST(Finalists, LooksHaveNoLatencyButThePredicted) {
  const SyntheticNetwork network(SyntheticOptions{});
  const AgentContext context = network.Context(/*seed=*/1, /*trials=*/20);
  auto finalists = Finalists::Make(context.space, context.latency_table,
                                   context.baseline, context.objectives);
  ASSERT_TRUE(finalists.ok()) << finalists.status();
  v1::Trial original = WholeTrial(0, 1, 0, 1);
  *original.mutable_measurement() = context.baseline;
  (*finalists)->Add(original);
  v1::Trial look = LookedAt(1, context.baseline.accuracy(), 0.01, 0.5);
  *look.mutable_proposal()->mutable_plan() = BaselinePlan(context.space);
  (*finalists)->Add(look);
  // As slow as the original by prediction, and so no gain.
  EXPECT_THAT((*finalists)->Choose(), IsEmpty());
}

TEST(Finalists, AreNoMoreThanOneInSoManyLooks) {
  const std::unique_ptr<Finalists> finalists = WithBaseline();
  constexpr int kLooks = 30 * Finalists::kLooksPerWhole;
  // Each gains beside all others.
  for (int i = 0; i < kLooks; ++i) {
    finalists->Add(LookedAt(1 + i, 1 - 0.19 * i / kLooks, 0.5 * i / kLooks,
                            1 - 0.9 * i / kLooks));
  }
  EXPECT_EQ(finalists->Choose().size(), 30u);
  v1::Trial second;
  second.set_plan_digest("plan 1");
  second.mutable_proposal()->set_source(absl::StrCat(kWholePrefix, "rl/seed"));
  finalists->Add(second);
  EXPECT_EQ(finalists->Choose().size(), 29u);
}

TEST(Finalists, OneIsDueAtEveryDoublingOfTheLooks) {
  const std::unique_ptr<Finalists> finalists = WithBaseline();
  std::vector<int> due_at;
  for (int i = 1; i <= 40; ++i) {
    finalists->Add(LookedAt(i, 0.95, 0.1, 0.3));
    if (!finalists->IsOneDue()) continue;
    due_at.push_back(i);
    v1::Trial second;
    second.set_plan_digest(absl::StrCat("plan ", i));
    second.mutable_proposal()->set_source(
        absl::StrCat(kWholePrefix, "rl/seed"));
    finalists->Add(second);
  }
  EXPECT_THAT(due_at, ElementsAre(4, 8, 16, 32));
}

TEST(Finalists, AreTheSameHoweverOftenATrialIsAdded) {
  const std::unique_ptr<Finalists> finalists = WithBaseline();
  for (int i = 0; i < 2; ++i) finalists->Add(LookedAt(1, 0.95, 0.1, 0.3));
  EXPECT_EQ(finalists->looks(), 1);
}

}  // namespace
}  // namespace lathe

// What is known beforehand, and what was learned elsewhere.
#include "agent/sensitivity_rows.h"

#include <limits>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "agent/choice_network.h"
#include "agent/divergence_model.h"
#include "agent/rl_seeds.h"
#include "agent/sensitivity_table.h"
#include "agent/single_probes.h"
#include "agent/testing/synthetic_network.h"
#include "gtest/gtest.h"

namespace lathe {
namespace {

SyntheticOptions Small() {
  SyntheticOptions options;
  options.layers = 5;
  options.keep_levels = 3;
  return options;
}

// All single changes of the network, as trial 0 measures them.
v1::Sensitivity Measure(const SyntheticNetwork& network,
                        const SearchCore& core) {
  v1::Sensitivity sensitivity;
  for (int d = 0; d < core.space().size(); ++d) {
    const Decision& decision = core.space().decisions()[d];
    for (int c = 1; c < decision.count; ++c) {
      Choices plan(core.space().size(), 0);
      plan[d] = c;
      const v1::CompressionPlan changed = core.space().ToPlan(plan);
      v1::Sensitivity::Entry& entry = *sensitivity.add_entries();
      entry.set_layer(decision.layer);
      *entry.mutable_choice() = changed.layers(decision.layer);
      entry.set_kl_divergence(network.Measure(changed).kl_divergence());
    }
  }
  return sensitivity;
}

TEST(SensitivityRows, AreTheSingleChangesOfTheSpaceAndNothingElse) {
  const SyntheticNetwork network(Small());
  AgentContext context = network.Context(1, 100);
  context.sensitivity = Measure(network, **SearchCore::Make(context));
  const int good = context.sensitivity.entries_size();
  context.sensitivity.add_entries()->set_layer(99);
  v1::Sensitivity::Entry* odd = context.sensitivity.add_entries();
  odd->mutable_choice()->set_keep_ratio(0.123);
  odd = context.sensitivity.add_entries();
  *odd = context.sensitivity.entries(0);
  odd->set_kl_divergence(std::numeric_limits<double>::quiet_NaN());
  const std::unique_ptr<SearchCore> core = *SearchCore::Make(context);
  std::set<Choices> seen;
  for (const Evaluated& row : SensitivityRows(*core)) {
    EXPECT_TRUE(AsSingleChange(row.choices).has_value());
    EXPECT_EQ(
        row.divergence,
        network.Measure(core->space().ToPlan(row.choices)).kl_divergence());
    seen.insert(row.choices);
  }
  EXPECT_EQ(static_cast<int>(seen.size()), good);
}

TEST(SensitivityRows, TeachTheDamageOfEveryChoiceWithoutATrial) {
  const SyntheticNetwork network(Small());
  AgentContext context = network.Context(1, 100);
  context.sensitivity = Measure(network, **SearchCore::Make(context));
  const std::unique_ptr<SearchCore> core = *SearchCore::Make(context);
  DivergenceModel model(&core->space(), 0);
  const std::vector<Evaluated> singles = SensitivityRows(*core);
  for (int i = 0; i < 5; ++i) model.Fit({EvaluatedBaseline(*core)}, singles);
  for (const Evaluated& row : singles) {
    // Beyond, all are as useless, and the ridge pulls more.
    if (row.divergence > kInfeasibleDivergence) continue;
    EXPECT_NEAR(model.Damage(row.choices), row.divergence,
                0.2 * row.divergence + 10 * DivergenceModel::kFloor);
  }
  // And no trial is spent on them.
  for (const Choices& seed : MakeSeeds(*core, 50)) {
    EXPECT_FALSE(AsSingleChange(seed).has_value());
  }
}

TEST(ChoiceNetwork, TakesOverWhatAnotherOneHasLearned) {
  ChoiceStep step;
  step.features = {0.1f, 0.2f, 0.3f, 0.9f, 0.8f, 0.7f};
  step.energies = {0.5f, 0.1f};
  step.taken = 0;
  step.weight = 1;
  ChoiceNetwork teacher(/*feature_size=*/3, /*seed=*/1);
  for (int i = 0; i < 50; ++i) teacher.Update({&step, 1});
  ChoiceNetwork pupil(3, 2);
  const auto before = pupil.Probabilities({&step, 1});
  const std::string saved = teacher.Save();
  ChoiceNetwork other(4, 2);
  EXPECT_FALSE(other.Load(saved));
  EXPECT_FALSE(pupil.Load(""));
  EXPECT_FALSE(pupil.Load(saved.substr(0, saved.size() - 1)));
  std::string spoiled = saved;
  spoiled.replace(saved.size() - 4, 4, "\xff\xff\xff\xff");
  EXPECT_FALSE(pupil.Load(spoiled));
  EXPECT_EQ(pupil.Probabilities({&step, 1}), before);
  ASSERT_TRUE(pupil.Load(saved));
  EXPECT_EQ(pupil.Probabilities({&step, 1}), teacher.Probabilities({&step, 1}));
}

}  // namespace
}  // namespace lathe

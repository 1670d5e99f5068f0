// Whether each reference agent does what its source says, by its proposals.
// (HAQ and AMC: ddpg_search_test.cc, ddpg_method_test.cc. Densities of TPE,
// ranks of NSGA-II and the programme of CLADO: parzen_estimator_test.cc,
// nondominated_test.cc, quadratic_damage_test.cc. The solver of ilp and
// adaptive: divergence_model_test.cc.)
#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "agent/agent.h"
#include "agent/archive.h"
#include "agent/search_core.h"
#include "agent/seeded_agent.h"
#include "agent/testing/synthetic_network.h"
#include "gtest/gtest.h"

namespace lathe {
namespace {

struct Step {
  std::string source;
  Choices plan;
  Evaluated result;
};

// A search from beginning to end, each result learned before the next proposal.
class Play {
 public:
  explicit Play(const std::string& agent, int64_t trials = 100,
                double distortion = 1)
      : network_(Options()),
        context_(network_.Context(/*seed=*/1, trials)),
        core_(*SearchCore::Make(context_)),
        agent_(*MakeAgent(agent, context_)),
        distortion_(distortion) {
    Run();
  }
  Play(std::unique_ptr<Agent> agent, const AgentContext& context)
      : network_(Options()),
        context_(context),
        core_(*SearchCore::Make(context_)),
        agent_(std::move(agent)) {
    Run();
  }

  static SyntheticOptions Options() {
    SyntheticOptions options;
    options.layers = 6;
    options.keep_levels = 4;
    return options;
  }

  const std::vector<Step>& steps() const { return steps_; }
  const SearchCore& core() const { return *core_; }
  // Steps whose source ends so.
  std::vector<Step> Of(const std::string& suffix) const {
    std::vector<Step> of;
    for (const Step& step : steps_) {
      if (absl::EndsWith(step.source, suffix)) of.push_back(step);
    }
    return of;
  }

 private:
  void Run() {
    for (int64_t number = 1; number < context_.trials; ++number) {
      const absl::StatusOr<v1::Proposal> proposal = agent_->Propose();
      if (!proposal.ok()) return;
      v1::Trial trial = network_.Run(*proposal, number);
      const Choices plan = *core_->space().FromPlan(proposal->plan());
      // Of plans that are no single changes.
      if (plan.size() - std::count(plan.begin(), plan.end(), 0) > 1) {
        trial.mutable_measurement()->set_kl_divergence(
            distortion_ * trial.measurement().kl_divergence());
      }
      steps_.push_back(
          {proposal->source(), plan, Evaluate(*core_, trial, plan)});
      agent_->Learn(trial);
    }
  }

  const SyntheticNetwork network_;
  const AgentContext context_;
  const std::unique_ptr<SearchCore> core_;
  const std::unique_ptr<Agent> agent_;
  const double distortion_ = 1;
  std::vector<Step> steps_;
};

int CountChanges(const Choices& plan) {
  return static_cast<int>(plan.size() -
                          std::count(plan.begin(), plan.end(), 0));
}

int CountDifferences(const Choices& a, const Choices& b) {
  int differences = 0;
  for (size_t d = 0; d < a.size(); ++d) differences += a[d] != b[d];
  return differences;
}

// Latencies: less is better; qualities: more.
bool Dominates(const Evaluated& a, const Evaluated& b) {
  return a.quality >= b.quality && a.latency_ratio <= b.latency_ratio &&
         (a.quality > b.quality || a.latency_ratio < b.latency_ratio);
}

TEST(Uniform, TreatsAllLayersAlike) {
  const Play play("uniform", 40);
  ASSERT_GT(play.steps().size(), 5u);
  for (const Step& step : play.steps()) {
    const v1::CompressionPlan plan = play.core().space().ToPlan(step.plan);
    std::set<std::pair<v1::Precision, int>> options;
    for (int i = 0; i < plan.layers_size(); ++i) {
      // A layer that has no such option keeps to the nearest.
      if (play.core().space().space().layers(i).precisions_size() < 3) continue;
      options.insert(
          {plan.layers(i).precision(), plan.layers(i).weight_bits()});
    }
    EXPECT_EQ(options.size(), 1u);
  }
}

TEST(Random, DrawsEveryChoiceAlike) {
  const Play play("random", 300);
  const std::vector<Decision>& decisions = play.core().space().decisions();
  // Chi-squared over all choices, whose mean is its degrees of freedom.
  double squares = 0;
  int freedom = 0;
  for (size_t d = 0; d < decisions.size(); ++d) {
    std::vector<int> counts(decisions[d].count, 0);
    for (const Step& step : play.steps()) ++counts[step.plan[d]];
    const double expected =
        static_cast<double>(play.steps().size()) / decisions[d].count;
    for (const int count : counts) {
      squares += std::pow(count - expected, 2) / expected;
    }
    freedom += decisions[d].count - 1;
  }
  EXPECT_LT(squares, freedom + 4 * std::sqrt(2.0 * freedom));
}

TEST(Nsga2, OffspringTakeNearlyAllDecisionsFromTwoOfThePopulation) {
  const Play play("nsga2", 200);
  // With the uncompressed model forty.
  ASSERT_EQ(play.Of("/first").size(), 39u);
  // Expected mutations: one a child.
  double others = 0;
  for (size_t i = 39; i < 59; ++i) {
    const Choices& child = play.steps()[i].plan;
    int fewest = static_cast<int>(child.size());
    for (size_t a = 0; a < i; ++a) {
      for (size_t b = a; b < i; ++b) {
        const Choices& x = play.steps()[a].plan;
        const Choices& y = play.steps()[b].plan;
        int neither = 0;
        for (size_t d = 0; d < child.size(); ++d) {
          neither += child[d] != x[d] && child[d] != y[d];
        }
        fewest = std::min(fewest, neither);
      }
    }
    others += fewest / 20.0;
  }
  EXPECT_LT(others, 1.5);
}

TEST(Nsga2, ItsParentsAreTheBetterOnes) {
  const Play play("nsga2", 200);
  const auto mean_quality = [&](size_t from, size_t to) {
    double sum = 0;
    for (size_t i = from; i < to; ++i) {
      sum += play.steps()[i].result.quality / static_cast<double>(to - from);
    }
    return sum;
  };
  EXPECT_GT(mean_quality(160, 199), mean_quality(0, 39));
}

TEST(LocalSearch, MovesOneDecisionOfANondominatedPlanByOneStep) {
  const Play play("localsearch", 80);
  const size_t first = play.Of("/first").size();
  EXPECT_EQ(first, 8u);
  const Evaluated whole = EvaluatedBaseline(play.core());
  int moved = 0;
  for (size_t i = first; i < play.steps().size(); ++i) {
    std::vector<Evaluated> known = {whole};
    for (size_t j = 0; j < i; ++j) known.push_back(play.steps()[j].result);
    const Choices& plan = play.steps()[i].plan;
    moved += std::any_of(known.begin(), known.end(), [&](const Evaluated& x) {
      const bool is_dominated =
          std::any_of(known.begin(), known.end(),
                      [&x](const Evaluated& y) { return Dominates(y, x); });
      if (is_dominated || CountDifferences(plan, x.choices) != 1) return false;
      for (size_t d = 0; d < plan.size(); ++d) {
        if (std::abs(plan[d] - x.choices[d]) > 1) return false;
      }
      return true;
    });
  }
  // Where all neighbours of an elite are known it takes another plan.
  EXPECT_GE(moved, static_cast<int>(0.9 * (play.steps().size() - first)));
}

TEST(Greedy, ProbesSingleChangesAndThenWalksTheirPath) {
  const Play play("greedy", 100);
  const std::vector<Step> probes = play.Of("/sensitivity");
  EXPECT_LE(probes.size(), 40u);
  for (const Step& probe : probes) EXPECT_EQ(CountChanges(probe.plan), 1);
  const std::vector<Step> path = play.Of("/path");
  ASSERT_GT(path.size(), 5u);
  EXPECT_EQ(play.steps()[probes.size()].source, "greedy/path");
  // Steps add up: on the path, what is faster has changed more.
  int ordered = 0, pairs = 0;
  for (const Step& a : path) {
    for (const Step& b : path) {
      if (a.result.latency_ratio >= b.result.latency_ratio) continue;
      ++pairs;
      ordered += CountChanges(a.plan) >= CountChanges(b.plan);
    }
  }
  EXPECT_GE(ordered, 0.8 * pairs);
}

TEST(Ilp, MeasuresATableAndThenOnlySolves) {
  const Play play("ilp", 100);
  const std::vector<Step> probes = play.Of("/sensitivity");
  EXPECT_LE(probes.size(), 40u);
  for (const Step& probe : probes) EXPECT_EQ(CountChanges(probe.plan), 1);
  EXPECT_EQ(play.Of("/solver").size() + probes.size(), play.steps().size());
}

// The sources of the first steps at which two searches differ.
size_t FirstDifference(const Play& a, const Play& b) {
  size_t i = 0;
  while (i < a.steps().size() && a.steps()[i].plan == b.steps()[i].plan) ++i;
  return i;
}

TEST(Adaptive, LearnsFromWhatItsPlansTurnOutToBe) {
  // Of the same singles; all that combines them is far worse than the sum.
  const Play as_sums("adaptive", 100);
  const Play worse("adaptive", 100, /*distortion=*/5);
  const size_t differs = FirstDifference(as_sums, worse);
  ASSERT_LT(differs, as_sums.steps().size());
  EXPECT_GT(differs, as_sums.Of("/sensitivity").size());
}

TEST(Clado, MeasuresThePairsOfTheLargestProductOfDamages) {
  const Play play("clado", 100);
  const std::vector<Step> pairs = play.Of("/pair/sensitivity");
  ASSERT_EQ(pairs.size(), 25u);
  std::map<Choices, double> damage;
  for (const Step& step : play.steps()) {
    if (CountChanges(step.plan) == 1)
      damage[step.plan] = step.result.divergence;
  }
  EXPECT_LE(damage.size(), 25u);
  double last = INFINITY;
  for (const Step& pair : pairs) {
    ASSERT_EQ(CountChanges(pair.plan), 2);
    double product = 1;
    for (size_t d = 0; d < pair.plan.size(); ++d) {
      if (pair.plan[d] == 0) continue;
      Choices single(pair.plan.size(), 0);
      single[d] = pair.plan[d];
      ASSERT_EQ(damage.count(single), 1u) << "a pair of unmeasured changes";
      product *= damage[single];
    }
    EXPECT_LE(product, last + 1e-12);
    last = product;
  }
  EXPECT_GT(play.Of("clado/solver").size(), 40u);
}

TEST(Tpe, DrawsFromTheGoodOnesAfterTenRandomPlans) {
  const Play play("tpe", 100);
  EXPECT_EQ(play.Of("/first").size(), 10u);
  EXPECT_EQ(play.Of("/estimator").size(), 89u);
  // Plans of the estimator are nearer to what nothing dominates in the end.
  std::vector<Choices> front;
  for (const Step& x : play.steps()) {
    if (std::none_of(
            play.steps().begin(), play.steps().end(),
            [&x](const Step& y) { return Dominates(y.result, x.result); })) {
      front.push_back(x.plan);
    }
  }
  const auto distance = [&front](const Step& step) {
    int least = static_cast<int>(step.plan.size());
    for (const Choices& plan : front) {
      least = std::min(least, CountDifferences(plan, step.plan));
    }
    return least;
  };
  double early = 0, late = 0;
  for (int i = 0; i < 10; ++i) {
    early += distance(play.steps()[i]);
    late += distance(play.steps()[80 + i]);
  }
  EXPECT_LT(late, early);
}

TEST(SurrogateEa, HasNeitherSeedsNorPolicyNorSolver) {
  const Play play("surrogate-ea", 60);
  EXPECT_EQ(play.Of("/first").size(), 10u);
  EXPECT_EQ(play.Of("/child").size(), play.steps().size() - 10);
}

TEST(SeededAgent, BeginsWithTheSeedsOfRlThenTheSolversThenTheAgents) {
  const Play rl("rl", 100);
  const AgentContext context =
      SyntheticNetwork(Play::Options()).Context(/*seed=*/1, 100);
  const Play seeded(*MakeSeeded(context, *MakeAgent("nsga2", context)),
                    context);
  const std::vector<Step> seeds = seeded.Of("seed");
  ASSERT_GE(seeds.size(), 6u);
  for (size_t i = 0; i < seeds.size(); ++i) {
    EXPECT_EQ(seeds[i].plan, rl.steps()[i].plan) << i;
  }
  EXPECT_EQ(seeded.Of("seed/solver").size(), 12u);
  for (size_t i = 0; i < 12; ++i) {
    EXPECT_EQ(seeded.steps()[seeds.size() + i].source, "seed/solver");
  }
  // The seeds are a population: nothing is drawn by chance.
  ASSERT_GE(seeds.size() + 12, 20u);
  EXPECT_TRUE(seeded.Of("nsga2/first").empty());
}

TEST(Rl, MeasuresTheSolversPlansForManyBudgetsBeforeItsOwn) {
  const Play rl("rl", 300);
  size_t last_seed = 0;
  for (size_t i = 0; i < rl.steps().size(); ++i) {
    if (rl.steps()[i].source == "rl/seed") last_seed = i;
  }
  EXPECT_EQ(last_seed + 1, rl.Of("/seed").size());
  int pairs = 0, harsher = 0;
  for (const Step& seed : rl.Of("/seed")) {
    pairs += CountChanges(seed.plan) == 2;
    harsher += CountChanges(seed.plan) > 2;
  }
  // One pair for 100 trials, one of the solver's plans for 75, besides those
  // that treat layers alike.
  EXPECT_EQ(pairs, 3);
  EXPECT_GE(harsher, 9);
}

TEST(Rl, MeasuresTheSolversAnswerForTheJobsBudget) {
  AgentContext context =
      SyntheticNetwork(Play::Options()).Context(/*seed=*/1, 60);
  context.budget.set_max_latency_ratio(0.5);
  const Play rl(*MakeAgent("rl", context), context);
  EXPECT_EQ(rl.Of("/solvers-answer").size(), 1u);
  for (const char* own : {"/policy", "/child", "/elite"}) {
    for (const Step& step : rl.Of(own)) {
      EXPECT_NE(step.plan, rl.Of("/solvers-answer")[0].plan);
    }
  }
}

}  // namespace
}  // namespace lathe

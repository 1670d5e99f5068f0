// nsga2: NSGA-II (Deb et al., "A fast and elitist multiobjective genetic
// algorithm", 2002) in its steady-state form (Durillo et al. 2009), which needs
// no generations to end and so suits workers that come and go: every proposal
// is one offspring of the best individuals so far.
#include <algorithm>
#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "agent/archive.h"
#include "agent/nondominated.h"
#include "agent/search_core.h"
#include "agent/strategies.h"
#include "base/status.h"

namespace lathe {
namespace {

// Individuals: a fifth of the trials, within these.
constexpr int64_t kLeastPopulation = 10;
constexpr int64_t kMostPopulation = 40;
// Share of the offspring that two parents make.
constexpr double kCrossover = 0.9;

// Rank (0: not dominated) and crowding distance of an individual.
struct Fitness {
  int rank = 0;
  double crowding = 0;

  bool IsBetterThan(const Fitness& other) const {
    if (rank != other.rank) return rank < other.rank;
    return crowding > other.crowding;
  }
};

// Adds the crowding distances of `front` (indices into `costs`).
void AddCrowding(const std::vector<Costs>& costs, std::vector<int> front,
                 std::vector<Fitness>* fitness) {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  for (size_t axis = 0; axis < costs[front[0]].size(); ++axis) {
    std::stable_sort(front.begin(), front.end(), [&](int a, int b) {
      return costs[a][axis] < costs[b][axis];
    });
    const double range = costs[front.back()][axis] - costs[front[0]][axis];
    (*fitness)[front[0]].crowding = kInfinity;
    (*fitness)[front.back()].crowding = kInfinity;
    for (size_t i = 1; i + 1 < front.size() && range > 0; ++i) {
      (*fitness)[front[i]].crowding +=
          (costs[front[i + 1]][axis] - costs[front[i - 1]][axis]) / range;
    }
  }
}

std::vector<Fitness> FitnessOf(const std::vector<Costs>& costs) {
  const std::vector<int> ranks = NondominatedRanks(costs);
  std::vector<Fitness> fitness(costs.size());
  std::map<int, std::vector<int>> fronts;
  for (size_t i = 0; i < ranks.size(); ++i) {
    fitness[i].rank = ranks[i];
    fronts[ranks[i]].push_back(static_cast<int>(i));
  }
  for (const auto& [rank, front] : fronts) AddCrowding(costs, front, &fitness);
  return fitness;
}

class Nsga2Agent : public Agent {
 public:
  Nsga2Agent(std::unique_ptr<SearchCore> core, uint64_t seed)
      : core_(std::move(core)),
        random_(seed),
        population_size_(static_cast<size_t>(std::clamp(
            core_->context().trials / 5, kLeastPopulation, kMostPopulation))) {
    Join(EvaluatedBaseline(*core_));
  }

  absl::StatusOr<v1::Proposal> Propose() override {
    LATHE_RETURN_IF_ERROR(core_->CheckAnyLeft("nsga2"));
    // What others have proposed (seeds) is of the first generation, too.
    const bool is_first = proposals_++ < population_size_ &&
                          population_.size() < population_size_;
    Choices wanted = is_first ? core_->RandomPlan(core_->limits(), 0, &random_)
                              : Offspring();
    std::optional<Choices> plan = core_->Fresh(std::move(wanted), &random_);
    if (!plan) {
      return absl::OutOfRangeError(
          "nsga2: every plan within the budget was proposed");
    }
    return core_->Propose(*plan, is_first ? "nsga2/first" : "nsga2/offspring");
  }

  void Learn(const v1::Trial& trial) override {
    const std::optional<Choices> choices = core_->Learn(trial);
    if (choices) Join(lathe::Evaluate(*core_, trial, *choices));
  }

  void Dismiss(const v1::Trial& trial) override { core_->Dismiss(trial); }

  v1::Reward Evaluate(const v1::Trial& trial) const override {
    return core_->Evaluate(trial);
  }

 private:
  // Adds an individual; the worst one leaves when there are too many.
  void Join(Evaluated row) {
    population_.push_back(std::move(row));
    std::vector<Costs> costs;
    for (const Evaluated& individual : population_) {
      costs.push_back(CostsOf(*core_, individual));
    }
    fitness_ = FitnessOf(costs);
    if (population_.size() <= population_size_) return;
    size_t worst = 0;
    for (size_t i = 1; i < fitness_.size(); ++i) {
      if (fitness_[worst].IsBetterThan(fitness_[i])) worst = i;
    }
    population_.erase(population_.begin() + worst);
    fitness_.erase(fitness_.begin() + worst);
  }

  // The better of two drawn at random.
  const Choices& Parent() {
    const int count = static_cast<int>(population_.size());
    const int a = random_.Below(count);
    const int b = random_.Below(count);
    return population_[fitness_[b].IsBetterThan(fitness_[a]) ? b : a].choices;
  }

  Choices Offspring() {
    Choices child = Parent();
    if (random_.Uniform() < kCrossover) {
      const Choices& other = Parent();
      for (size_t d = 0; d < child.size(); ++d) {
        if (random_.Uniform() < 0.5) child[d] = other[d];
      }
    }
    for (size_t d = 0; d < child.size(); ++d) {
      if (random_.Below(static_cast<int>(child.size())) != 0) continue;
      child[d] = random_.Below(core_->space().decisions()[d].count);
    }
    return child;
  }

  const std::unique_ptr<SearchCore> core_;
  Random random_;
  const size_t population_size_;
  size_t proposals_ = 0;
  std::vector<Evaluated> population_;
  std::vector<Fitness> fitness_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Agent>> MakeNsga2Agent(
    const AgentContext& context) {
  LATHE_ASSIGN_OR_RETURN(std::unique_ptr<SearchCore> core,
                         SearchCore::Make(context));
  return std::make_unique<Nsga2Agent>(std::move(core), context.seed);
}

}  // namespace lathe

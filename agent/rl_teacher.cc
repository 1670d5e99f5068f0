#include "agent/rl_teacher.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace lathe {
namespace {

// Batch size of HAQ and AMC; updates keep the time per trial near 20 ms.
constexpr int kBatch = 64;
constexpr int kUpdates = 8;

// Episodes replayed per lesson.
constexpr int kArchivedEpisodes = 12;
constexpr int kImaginedEpisodes = 8;
constexpr size_t kMostImagined = 128;

}  // namespace

RlTeacher::RlTeacher(const SearchCore* core, const Archive* archive,
                     const DivergenceModel* model, const BudgetGrid* grid,
                     const Policy* policy, DdpgLearner* learner)
    : core_(*core),
      archive_(*archive),
      model_(*model),
      grid_(*grid),
      policy_(*policy),
      learner_(learner) {}

void RlTeacher::Remember(const Choices& plan, const EpisodeBudget& budget,
                         std::deque<Imagined>* plans) {
  plans->push_back({plan, budget});
  if (plans->size() > kMostImagined) plans->pop_front();
}

// Of the trials so far: what a reward is compared with.
double RlTeacher::MeanQuality() const {
  double sum = 0;
  for (const Evaluated& row : archive_.rows()) {
    sum += QualityOfDivergence(row.divergence);
  }
  return sum / static_cast<double>(archive_.rows().size());
}

// A budget of the grid, widened until the row meets it.
EpisodeBudget RlTeacher::BudgetMetBy(const Evaluated& row,
                                     Random* random) const {
  const EpisodeBudget point = grid_.Draw(random);
  return {std::max(point.latency_ratio, row.latency_ratio),
          std::max(point.size_ratio, row.size_ratio)};
}

void RlTeacher::Replay(const Choices& plan, double divergence,
                       const EpisodeBudget& budget, float imitation,
                       std::vector<Transition>* steps) const {
  for (Transition& step :
       policy_.Replay(plan, divergence, mean_quality_, budget)) {
    step.imitation = imitation;
    steps->push_back(std::move(step));
  }
}

void RlTeacher::ReplayArchive(std::vector<Transition>* steps,
                              Random* random) const {
  const std::vector<Evaluated>& rows = archive_.rows();
  const std::vector<int>& elites = archive_.elites();
  const Evaluated& newest = rows.back();
  Replay(newest.choices, newest.divergence,
         {newest.latency_ratio, newest.size_ratio}, /*imitation=*/0, steps);
  for (int i = 0; i < kArchivedEpisodes; i += 2) {
    const Evaluated& elite =
        rows[elites[random->Below(static_cast<int>(elites.size()))]];
    Replay(elite.choices, elite.divergence,
           {elite.latency_ratio, elite.size_ratio}, /*imitation=*/1, steps);
    const Evaluated& any = rows[random->Below(static_cast<int>(rows.size()))];
    Replay(any.choices, any.divergence, BudgetMetBy(any, random),
           /*imitation=*/0, steps);
  }
}

void RlTeacher::ReplayImagined(const std::deque<Imagined>& plans,
                               float imitation, std::vector<Transition>* steps,
                               Random* random) const {
  if (plans.empty()) return;
  std::vector<Choices> drawn;
  std::vector<EpisodeBudget> budgets;
  for (int i = 0; i < kImaginedEpisodes; ++i) {
    const Imagined& imagined =
        plans[random->Below(static_cast<int>(plans.size()))];
    drawn.push_back(imagined.plan);
    budgets.push_back(imagined.budget);
  }
  const auto predictions = model_.Predict(drawn);
  for (size_t i = 0; i < drawn.size(); ++i) {
    Replay(drawn[i], predictions[i].Mean(), budgets[i], imitation, steps);
  }
}

void RlTeacher::Teach(Random* random) {
  mean_quality_ = MeanQuality();
  std::vector<Transition> steps;
  ReplayArchive(&steps, random);
  ReplayImagined(drawn_, /*imitation=*/0, &steps, random);
  ReplayImagined(solved_, /*imitation=*/1, &steps, random);
  if (steps.empty()) return;
  std::vector<const Transition*> batch(kBatch);
  for (int update = 0; update < kUpdates; ++update) {
    for (const Transition*& step : batch) {
      step = &steps[random->Below(static_cast<int>(steps.size()))];
    }
    learner_->Update(batch);
  }
}

}  // namespace lathe

#include "agent/seed_queue.h"

#include <algorithm>
#include <cmath>
#include <utility>
#include <vector>

#include "agent/additive_solver.h"
#include "agent/rl_seeds.h"
#include "agent/solver_seeds.h"

namespace lathe {

size_t SeedCount(int64_t trials) {
  constexpr double kShare = 0.3;
  constexpr double kFewest = 6;
  constexpr double kMost = 120;
  return static_cast<size_t>(
      std::clamp(kShare * static_cast<double>(trials), kFewest, kMost));
}

SeedQueue::SeedQueue(const SearchCore* core, const Archive* archive,
                     const DivergenceModel* model, bool has_solver)
    : core_(*core),
      archive_(*archive),
      model_(*model),
      has_solver_(has_solver),
      left_(SeedCount(core->context().trials)) {
  AddAlike();
  if (core_.context().sensitivity.entries_size() > 0) AskSolver();
}

std::optional<SeedQueue::Seed> SeedQueue::Next() {
  if (seeds_.empty() && !std::exchange(has_solved_, true)) AddSolved();
  while (!seeds_.empty()) {
    Seed seed = std::move(seeds_.front());
    seeds_.pop_front();
    const bool is_new = seed.is_solvers_answer
                            ? answered_.insert(seed.plan).second
                            : !core_.IsKnown(seed.plan);
    if (is_new && core_.IsWithin(seed.plan, core_.limits())) return seed;
  }
  return std::nullopt;
}

void SeedQueue::AddAlike() {
  const std::vector<Choices> seeds = MakeSeeds(core_, left_);
  for (const Choices& seed : seeds) seeds_.push_back({seed, false});
  left_ -= std::min(left_, seeds.size());
}

void SeedQueue::AddSolved() {
  AddAlike();
  if (has_solver_) {
    for (Choices& plan : SolverSeeds(core_, model_)) {
      seeds_.push_back({std::move(plan), false});
    }
  }
  for (Choices& pair : InteractionSeeds(core_, archive_)) {
    seeds_.push_back({std::move(pair), false});
  }
  AskSolver();
}

void SeedQueue::AskSolver() {
  const Limits& limits = core_.limits();
  const bool is_limited =
      std::isfinite(limits.us) || std::isfinite(limits.bytes);
  if (!is_limited || !has_solver_ || core_.space().size() == 0) return;
  Choices answer = LeastDamage(core_, model_, limits);
  const bool is_uncompressed =
      std::all_of(answer.begin(), answer.end(), [](int c) { return c == 0; });
  if (!is_uncompressed) seeds_.push_front({std::move(answer), true});
}

}  // namespace lathe

// What the default agent measures before it proposes anything of its own.
#ifndef LATHE_AGENT_SEED_QUEUE_H_
#define LATHE_AGENT_SEED_QUEUE_H_

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <set>

#include "agent/archive.h"
#include "agent/divergence_model.h"
#include "agent/search_core.h"
#include "agent/state_archive.h"

namespace lathe {

// How many trials may go to plans that treat layers alike and to single
// changes: 0.3 of them, at least 6 and at most 120.
size_t SeedCount(int64_t trials);

// In this order: plans that treat layers alike and single changes (MakeSeeds),
// twice, since the first of them show what saves something (narrow weights do
// where they are stored as such) and so what else may be of use; then the
// solver's answer for the job's budget, its plans for other budgets, and pairs
// of the strongest interactions. Where single changes are known beforehand the
// solver's answer comes first of all. Not thread-safe.
class SeedQueue {
 public:
  // All must outlive the queue; the model is fitted to what is known.
  SeedQueue(const SearchCore* core, const Archive* archive,
            const DivergenceModel* model, bool has_solver);

  struct Seed {
    Choices plan;
    // For the job's budget.
    bool is_solvers_answer = false;

    void Visit(StateArchive& archive) {
      archive(plan);
      archive(is_solvers_answer);
    }
  };
  // The next one that is within the job's limits and unknown; nothing when
  // there are no more. The solver's answer comes even when another seed was the
  // same plan, so that there is a trial which says what it is.
  std::optional<Seed> Next();

  // See StateArchive.
  void Visit(StateArchive& archive) {
    archive(seeds_);
    archive(left_);
    archive(has_solved_);
  }

 private:
  void AddAlike();
  void AddSolved();
  void AskSolver();

  const SearchCore& core_;
  const Archive& archive_;
  const DivergenceModel& model_;
  const bool has_solver_;
  std::deque<Seed> seeds_;
  // The solver's answers so far.
  std::set<Choices> answered_;
  // That AddAlike may still add.
  size_t left_;
  bool has_solved_ = false;
};

}  // namespace lathe

#endif  // LATHE_AGENT_SEED_QUEUE_H_

// An agent plays on an enumerated space: every evaluation is a look-up.
#ifndef LATHE_EXPERIMENTS_TABLES_TABLE_GAME_H_
#define LATHE_EXPERIMENTS_TABLES_TABLE_GAME_H_

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "agent/agent.h"
#include "experiments/tables/table.h"
#include "proto/types.pb.h"

namespace lathe {

struct GameOptions {
  std::string agent = "rl";
  // Of the agent "rl", parts that are switched off (agent/rl_parts.h).
  std::vector<std::string> without;
  // The agent begins with seeds (agent/seeded_agent.h).
  bool is_seeded = false;
  // What an agent of the same name has learned elsewhere (Agent::Experience).
  std::string experience;
  // The agent sees accuracies of a finite sample, as the table has them, in
  // place of divergences.
  bool is_accuracy_objective = false;
  // Budgets, drawn at random, that the agent answers for after the last
  // evaluation.
  int64_t unasked_budgets = 0;
  uint64_t seed = 0;
  // First looks at entries, that of the uncompressed one included.
  int64_t evaluations = 300;
  // Evaluations after which the hypervolume is asked for, ascending.
  std::vector<int64_t> checkpoints = {50, 75, 100, 150, 200, 300};
};

// Answers for budgets nobody asked for, none of them evaluated.
struct UnaskedAnswers {
  int64_t asked = 0;
  // The agent gave no plan, or one that the table does not have.
  int64_t unanswered = 0;
  // Latency or size is above the budget when looked up.
  int64_t exceeded = 0;
  // Of each budget: quality lost against the best of the table within it, over
  // the range from the reference to the uncompressed entry. No answer, and one
  // that exceeds its budget, lose all that is above the reference.
  std::vector<double> losses;
};

struct GameResult {
  // Share of the exhaustive hypervolume, one per checkpoint. An agent that ends
  // early keeps what it had.
  std::vector<double> hypervolume_ratios;
  // First looks that were made.
  int64_t evaluations = 0;
  double seconds = 0;
  // First looks, and hypervolume ratio gained, by proposer.
  std::map<std::string, int64_t> looks;
  std::map<std::string, double> gains;
  UnaskedAnswers unasked;
  // First looks until the ratio was 0.95; unset: it never was.
  std::optional<int64_t> evaluations_to_095;
  // Best quality among the evaluated for each latency budget of the table's
  // grid, whatever the size.
  std::vector<double> quality_by_latency;
  std::string experience;
};

// A table as a search space of one layer per decision, each a group of its own.
// Choices are pairs of an option (bits) and a keep ratio; a pair that the table
// does not list is infeasible. Immutable.
class TableSpace {
 public:
  // `table` must outlive the space.
  // Errors: InvalidArgument - a decision without a choice of the most bits that
  // keeps all channels, which the uncompressed network takes.
  static absl::StatusOr<TableSpace> Make(const ConfigurationTable* table);

  // What an agent may know at the start: shapes, the uncompressed entry, no
  // latencies of layers.
  AgentContext Context(const GameOptions& options) const;
  // The entry of a plan; none where the table has no such entry.
  // REQUIRES: the plan is legal in the space.
  std::optional<int64_t> EntryOf(const v1::CompressionPlan& plan) const;
  int64_t uncompressed() const { return uncompressed_; }
  v1::Measurement MeasurementOf(int64_t entry) const;
  const ConfigurationTable& table() const { return *table_; }

 private:
  explicit TableSpace(const ConfigurationTable* table) : table_(table) {}

  const ConfigurationTable* table_;
  v1::SearchSpace space_;
  int64_t uncompressed_ = 0;
  // Weights of the uncompressed network: what a size ratio of 1 is.
  double baseline_bytes_ = 0;
};

// Errors: those of MakeAgent and TableSpace::Make; Internal - the agent
// proposed a plan that is not legal.
absl::StatusOr<GameResult> PlayOnTable(const ConfigurationTable& table,
                                       const GameOptions& options);

}  // namespace lathe

#endif  // LATHE_EXPERIMENTS_TABLES_TABLE_GAME_H_

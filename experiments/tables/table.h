// Enumerated search spaces: every configuration with what it measured.
#ifndef LATHE_EXPERIMENTS_TABLES_TABLE_H_
#define LATHE_EXPERIMENTS_TABLES_TABLE_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"

namespace lathe {

// What one decision of a table is about.
struct TableDecision {
  // Weight bits and share of the channels kept, by choice. 32 bits stand for
  // f32, 16 for bf16, 2-8 for int8.
  std::vector<int> bits;
  std::vector<double> keep;
  int64_t in_channels = 0;
  int64_t out_channels = 0;
  int64_t out_pixels = 0;
  // Side of the square kernel.
  int64_t kernel = 0;
  int64_t macs = 0;
};

// Immutable once read.
struct ConfigurationTable {
  std::vector<TableDecision> decisions;
  // By configuration, row-major over the decisions' choices (the last decision
  // varies fastest).
  std::vector<float> kl_divergence;
  std::vector<float> accuracy;
  std::vector<float> quality;  // The objective, to be maximised.
  std::vector<float> latency_ratio;
  std::vector<float> size_ratio;
  // The grid of budgets that a set of configurations is scored by.
  std::vector<double> latency_budgets;
  std::vector<double> size_budgets;
  double quality_reference = 0;
  // The score of all configurations together.
  double exhaustive_hypervolume = 1;

  int64_t ConfigurationCount() const {
    return static_cast<int64_t>(quality.size());
  }
  // REQUIRES: one choice within range per decision.
  int64_t IndexOf(absl::Span<const int> choices) const;
};

// Reads an .npz (its arrays are listed in experiments/tables/README.md).
//
// Errors:
//   NotFound - no such file.
//   InvalidArgument - an array is missing or of another type or shape than
//     `shape` asks for, or a value is out of range; the message names it.
absl::StatusOr<ConfigurationTable> ReadTable(const std::string& path);

// The score of a growing set of configurations: the mean, over the grid of
// budgets, of what the best quality within both budgets lies above the
// reference. Not thread-safe.
class TableHypervolume {
 public:
  // `table` must outlive this.
  explicit TableHypervolume(const ConfigurationTable* table);

  void Add(int64_t configuration);
  // As a share of the exhaustive hypervolume.
  double Ratio() const;

 private:
  const ConfigurationTable& table_;
  std::vector<double> best_;  // By latency budget, then size budget.
};

}  // namespace lathe

#endif  // LATHE_EXPERIMENTS_TABLES_TABLE_H_

// How much quality each single choice costs, measured one at a time.
#ifndef LATHE_AGENT_SENSITIVITY_TABLE_H_
#define LATHE_AGENT_SENSITIVITY_TABLE_H_

#include <optional>
#include <vector>

#include "agent/decisions.h"
#include "agent/search_core.h"

namespace lathe {

// A choice for one decision.
struct SingleChange {
  int decision = 0;
  int choice = 0;
};

// The single changes of the uncompressed model that save something, the most
// useful `most` first: for each decision the cheapest choice among the mildest
// (half the channels; the fastest precision at its most bits) before others,
// by the cost they save.
std::vector<SingleChange> UsefulChanges(const SearchCore& core, size_t most);

// Predicted cost of a plan in the job's objectives: latency ratio, size ratio,
// or both together.
double PredictedCost(const SearchCore& core, const Choices& choices);

// Not thread-safe.
class SensitivityTable {
 public:
  // `space` must outlive the table.
  explicit SensitivityTable(const DecisionSpace* space);

  // The change alone lowered the quality by `loss` (negative: raised it).
  void Set(SingleChange change, double loss);

  // As measured; between measured keep ratios linear in the channels lost,
  // beyond them with their square; for other options that of the next
  // harsher measured one, or, harsher than all measured, four times the last.
  // A decision without any measurement takes the mean of its kind.
  double Loss(int decision, int choice) const;

 private:
  double MeanLoss(bool is_keep) const;
  double LossOfKeep(int decision, int choice) const;
  double LossOfOption(int decision, int choice) const;

  const DecisionSpace& space_;
  std::vector<std::vector<std::optional<double>>> losses_;
};

}  // namespace lathe

#endif  // LATHE_AGENT_SENSITIVITY_TABLE_H_

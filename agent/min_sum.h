// The exact minimum of a sum of small tables that share variables.
#ifndef LATHE_AGENT_MIN_SUM_H_
#define LATHE_AGENT_MIN_SUM_H_

#include <cstddef>
#include <vector>

#include "absl/types/span.h"

namespace lathe {

// A function of a few variables, listed ascending; the last varies fastest.
struct CostTable {
  std::vector<int> variables;
  std::vector<double> values;
};

// Minimises the sum of the tables by eliminating the variables from the last
// to the first (bucket elimination, Dechter 1999), and answers what the least
// sum is once the first few are fixed.
//
// Exact while no step needs a table above `most_entries`. Beyond that,
// variables are dropped from a step by taking the worst case over them: bounds
// are then too high, never too low, and still consistent: fixing one more
// variable can always be done without raising the bound. Immutable.
class MinSum {
 public:
  // REQUIRES: domain sizes are positive; tables fit them.
  MinSum(std::vector<int> domain_sizes, std::vector<CostTable> tables,
         size_t most_entries = 1 << 16);

  // The least sum when variables 0 .. prefix.size() - 1 are as in `prefix`.
  double LeastGiven(absl::Span<const int> prefix) const;

  // `prefix` completed so that the bound never rises: a minimiser where exact.
  std::vector<int> Complete(std::vector<int> prefix) const;

 private:
  void Eliminate(int variable, size_t most_entries);

  std::vector<int> domain_sizes_;
  // Given tables, by their last variable; then the constant ones.
  std::vector<std::vector<CostTable>> tables_;
  // messages_[v]: what eliminating v left.
  std::vector<CostTable> messages_;
  double constant_ = 0;
};

}  // namespace lathe

#endif  // LATHE_AGENT_MIN_SUM_H_

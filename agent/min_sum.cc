#include "agent/min_sum.h"

#include <algorithm>
#include <limits>
#include <set>
#include <utility>

namespace lathe {
namespace {

double ValueAt(const CostTable& table, absl::Span<const int> assignment,
               const std::vector<int>& domain_sizes) {
  size_t index = 0;
  for (const int variable : table.variables) {
    index = index * domain_sizes[variable] + assignment[variable];
  }
  return table.values[index];
}

size_t Entries(const std::vector<int>& variables,
               const std::vector<int>& domain_sizes, size_t most) {
  size_t entries = 1;
  for (const int variable : variables) {
    entries *= domain_sizes[variable];
    if (entries > most) return most + 1;
  }
  return entries;
}

// Steps through all values of `variables`, the last fastest; false at the end.
bool Advance(const std::vector<int>& variables,
             const std::vector<int>& domain_sizes,
             std::vector<int>* assignment) {
  for (auto it = variables.rbegin(); it != variables.rend(); ++it) {
    if (++(*assignment)[*it] < domain_sizes[*it]) return true;
    (*assignment)[*it] = 0;
  }
  return false;
}

// The table without `variable`, the largest value over it.
CostTable Drop(const CostTable& table, int variable,
               const std::vector<int>& domain_sizes) {
  CostTable dropped;
  for (const int v : table.variables) {
    if (v != variable) dropped.variables.push_back(v);
  }
  if (dropped.variables.size() == table.variables.size()) return table;
  std::vector<int> assignment(domain_sizes.size(), 0);
  do {
    double most = -std::numeric_limits<double>::infinity();
    for (int x = 0; x < domain_sizes[variable]; ++x) {
      assignment[variable] = x;
      most = std::max(most, ValueAt(table, assignment, domain_sizes));
    }
    assignment[variable] = 0;
    dropped.values.push_back(most);
  } while (Advance(dropped.variables, domain_sizes, &assignment));
  return dropped;
}

// The variables of all tables but `except`, ascending.
std::vector<int> Union(const std::vector<CostTable>& tables, int except) {
  std::set<int> all;
  for (const CostTable& table : tables) {
    all.insert(table.variables.begin(), table.variables.end());
  }
  all.erase(except);
  return std::vector<int>(all.begin(), all.end());
}

}  // namespace

MinSum::MinSum(std::vector<int> domain_sizes, std::vector<CostTable> tables,
               size_t most_entries)
    : domain_sizes_(std::move(domain_sizes)),
      tables_(domain_sizes_.size()),
      messages_(domain_sizes_.size()) {
  for (CostTable& table : tables) {
    if (table.variables.empty()) {
      constant_ += table.values[0];
    } else {
      tables_[table.variables.back()].push_back(std::move(table));
    }
  }
  for (int v = static_cast<int>(domain_sizes_.size()) - 1; v >= 0; --v) {
    Eliminate(v, most_entries);
  }
}

void MinSum::Eliminate(int variable, size_t most_entries) {
  std::vector<CostTable> inputs = tables_[variable];
  for (size_t v = variable + 1; v < messages_.size(); ++v) {
    const std::vector<int>& scope = messages_[v].variables;
    if (!scope.empty() && scope.back() == variable) {
      inputs.push_back(messages_[v]);
    }
  }
  std::vector<int> scope = Union(inputs, variable);
  while (!scope.empty() &&
         Entries(scope, domain_sizes_, most_entries) > most_entries) {
    // The earliest variable has been known longest when this one is decided.
    for (CostTable& input : inputs) {
      input = Drop(input, scope.front(), domain_sizes_);
    }
    scope.erase(scope.begin());
  }
  CostTable& message = messages_[variable];
  message.variables = scope;
  std::vector<int> assignment(domain_sizes_.size(), 0);
  do {
    double least = std::numeric_limits<double>::infinity();
    for (int x = 0; x < domain_sizes_[variable]; ++x) {
      assignment[variable] = x;
      double sum = 0;
      for (const CostTable& input : inputs) {
        sum += ValueAt(input, assignment, domain_sizes_);
      }
      least = std::min(least, sum);
    }
    assignment[variable] = 0;
    message.values.push_back(least);
  } while (Advance(scope, domain_sizes_, &assignment));
}

double MinSum::LeastGiven(absl::Span<const int> prefix) const {
  double sum = constant_;
  const int fixed = static_cast<int>(prefix.size());
  for (int v = 0; v < fixed; ++v) {
    for (const CostTable& table : tables_[v]) {
      sum += ValueAt(table, prefix, domain_sizes_);
    }
  }
  for (size_t v = fixed; v < messages_.size(); ++v) {
    const CostTable& message = messages_[v];
    if (message.variables.empty() || message.variables.back() < fixed) {
      sum += ValueAt(message, prefix, domain_sizes_);
    }
  }
  return sum;
}

std::vector<int> MinSum::Complete(std::vector<int> prefix) const {
  for (size_t v = prefix.size(); v < domain_sizes_.size(); ++v) {
    prefix.push_back(0);
    int best = 0;
    double least = std::numeric_limits<double>::infinity();
    for (int x = 0; x < domain_sizes_[v]; ++x) {
      prefix.back() = x;
      const double sum = LeastGiven(prefix);
      if (sum < least) {
        least = sum;
        best = x;
      }
    }
    prefix.back() = best;
  }
  return prefix;
}

}  // namespace lathe

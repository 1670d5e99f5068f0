#include "compressor/redundancy.h"

#include <Eigen/Cholesky>
#include <Eigen/Core>
#include <algorithm>
#include <iterator>
#include <limits>
#include <map>
#include <numeric>
#include <optional>
#include <utility>

#include "base/status.h"
#include "compressor/calibration_walk.h"
#include "compressor/layer_systems.h"

namespace lathe {
namespace {

// Least-squares systems of one reading layer. Rows of `inverse` and `weights`
// are the unknowns that are left.
struct Reader {
  // Symbol behind each unknown.
  std::vector<int> symbols;
  // Of the Gram matrix with its ridge.
  Eigen::MatrixXd inverse;
  // [unknowns, outputs].
  Eigen::MatrixXd weights;
  // Variance of the outputs, summed over rows.
  double energy = 0;
};

// None where the layer tells nothing: its inputs do not vary.
std::optional<Reader> MakeReader(const LayerSystem& system, double ridge) {
  const double mean_diagonal =
      system.gram.trace() / static_cast<double>(system.gram.rows());
  Reader reader;
  reader.weights = system.weights;
  reader.symbols = system.symbols;
  reader.energy =
      (system.weights.transpose() * system.gram * system.weights).trace();
  if (!(mean_diagonal > 0) || !(reader.energy > 0)) return std::nullopt;
  Eigen::MatrixXd shifted = system.gram;
  shifted.diagonal().array() += ridge * mean_diagonal;
  const Eigen::LLT<Eigen::MatrixXd> llt(shifted);
  if (llt.info() != Eigen::Success) return std::nullopt;
  reader.inverse = llt.solve(
      Eigen::MatrixXd::Identity(system.gram.rows(), system.gram.rows()));
  return reader;
}

std::vector<int> RowsOf(const Reader& reader, int symbol) {
  std::vector<int> rows;
  for (size_t i = 0; i < reader.symbols.size(); ++i) {
    if (reader.symbols[i] == symbol) rows.push_back(static_cast<int>(i));
  }
  return rows;
}

Eigen::MatrixXd TakeRows(const Eigen::MatrixXd& m,
                         const std::vector<int>& rows) {
  Eigen::MatrixXd taken(rows.size(), m.cols());
  for (size_t i = 0; i < rows.size(); ++i) taken.row(i) = m.row(rows[i]);
  return taken;
}

Eigen::MatrixXd TakeColumns(const Eigen::MatrixXd& m,
                            const std::vector<int>& columns) {
  Eigen::MatrixXd taken(m.rows(), columns.size());
  for (size_t i = 0; i < columns.size(); ++i) taken.col(i) = m.col(columns[i]);
  return taken;
}

// Error that losing the unknowns `rows` adds: trace(W' (P_rr)^-1 W).
double LossOf(const Reader& reader, const std::vector<int>& rows) {
  if (rows.empty()) return 0;
  const Eigen::MatrixXd weights = TakeRows(reader.weights, rows);
  const Eigen::LLT<Eigen::MatrixXd> llt(
      TakeColumns(TakeRows(reader.inverse, rows), rows));
  if (llt.info() != Eigen::Success) return 0;  // All but explained by others.
  return llt.matrixL().solve(weights).squaredNorm();
}

// Removes the unknowns `rows`; what is left takes over what it can.
void RemoveUnknowns(const std::vector<int>& rows, Reader* reader) {
  if (rows.empty()) return;
  std::vector<int> left;
  size_t next = 0;
  for (int i = 0; i < static_cast<int>(reader->symbols.size()); ++i) {
    if (next < rows.size() && rows[next] == i) {
      ++next;
    } else {
      left.push_back(i);
    }
  }
  const Eigen::MatrixXd columns = TakeColumns(reader->inverse, rows);
  const Eigen::LLT<Eigen::MatrixXd> block(TakeRows(columns, rows));
  const Eigen::MatrixXd cross = TakeRows(columns, left);
  Eigen::MatrixXd inverse = TakeColumns(TakeRows(reader->inverse, left), left);
  Eigen::MatrixXd weights = TakeRows(reader->weights, left);
  if (!left.empty() && block.info() == Eigen::Success) {
    weights.noalias() -= cross * block.solve(TakeRows(reader->weights, rows));
    const Eigen::MatrixXd half = block.matrixL().solve(cross.transpose());
    inverse.noalias() -= half.transpose() * half;
  }
  std::vector<int> symbols;
  for (const int i : left) symbols.push_back(reader->symbols[i]);
  reader->inverse = std::move(inverse);
  reader->weights = std::move(weights);
  reader->symbols = std::move(symbols);
}

// The order in which the symbols of one group go.
class Elimination {
 public:
  Elimination(const ChannelGroup& group, std::vector<Reader> readers)
      : left_(group.classes), readers_(std::move(readers)) {
    for (const std::vector<int>& symbols : left_) {
      sizes_.push_back(symbols.size());
    }
  }

  void Run(std::vector<double>* scores) {
    for (int step = 0; Count() > 0; ++step) {
      const size_t chosen = FullestClass();
      const int symbol = Cheapest(left_[chosen]);
      (*scores)[symbol] = step;
      std::vector<int>& symbols = left_[chosen];
      symbols.erase(std::find(symbols.begin(), symbols.end(), symbol));
      // The last one is never looked at again.
      if (Count() == 0) return;
      for (Reader& reader : readers_) {
        RemoveUnknowns(RowsOf(reader, symbol), &reader);
      }
    }
  }

 private:
  size_t Count() const {
    size_t count = 0;
    for (const std::vector<int>& symbols : left_) count += symbols.size();
    return count;
  }

  // The class of which the largest share is left; the first of equals.
  size_t FullestClass() const {
    size_t fullest = 0;
    for (size_t i = 1; i < left_.size(); ++i) {
      if (left_[i].size() * sizes_[fullest] >
          left_[fullest].size() * sizes_[i]) {
        fullest = i;
      }
    }
    return fullest;
  }

  int Cheapest(const std::vector<int>& symbols) const {
    std::map<int, double> losses;
    for (const int symbol : symbols) losses[symbol] = 0;
    for (const Reader& reader : readers_) {
      std::map<int, std::vector<int>> rows;
      for (size_t i = 0; i < reader.symbols.size(); ++i) {
        if (losses.count(reader.symbols[i]) > 0) {
          rows[reader.symbols[i]].push_back(static_cast<int>(i));
        }
      }
      for (const auto& [symbol, own] : rows) {
        losses[symbol] += LossOf(reader, own) / reader.energy;
      }
    }
    return std::min_element(
               losses.begin(), losses.end(),
               [](const auto& a, const auto& b) { return a.second < b.second; })
        ->first;
  }

  std::vector<std::vector<int>> left_;  // By class.
  std::vector<size_t> sizes_;           // By class, of all its symbols.
  std::vector<Reader> readers_;
};

bool ReadsPrunable(const std::vector<int>& symbols, const ChannelGroups& groups,
                   const std::vector<int>& group_of_symbol) {
  return std::any_of(symbols.begin(), symbols.end(), [&](int symbol) {
    const int group = group_of_symbol[symbol];
    return group >= 0 && !groups.groups[group].is_pinned;
  });
}

bool IsReader(const LayerChannels& layer, const ChannelGroups& groups,
              const std::vector<int>& group_of_symbol) {
  if (IsRecurrent(layer) &&
      ReadsPrunable(layer.out_symbols, groups, group_of_symbol)) {
    return true;
  }
  return layer.kind != "depthwise_conv" &&
         ReadsPrunable(layer.in_symbols, groups, group_of_symbol);
}

}  // namespace

absl::StatusOr<std::vector<double>> ScoreByRedundancy(
    const Graph& graph, const ChannelGroups& groups, ActivationSource& source,
    const RedundancyOptions& options) {
  LATHE_ASSIGN_OR_RETURN(
      const int64_t samples,
      FittingSamples(graph, source, options.samples, /*copies=*/1));
  const std::vector<int> group_of_symbol = GroupOfSymbols(groups);
  std::map<int, const LayerChannels*> readers;  // By node.
  for (const LayerChannels& layer : groups.layers) {
    if (IsReader(layer, groups, group_of_symbol)) readers[layer.node] = &layer;
  }
  std::vector<LayerSystem> systems;
  const auto visit = [&](const NodeActivations& at) -> absl::Status {
    const auto reader = readers.find(at.node);
    if (reader == readers.end()) return absl::OkStatus();
    LATHE_ASSIGN_OR_RETURN(std::vector<LayerSystem> made,
                           LayerSystems(graph, *reader->second, at));
    std::move(made.begin(), made.end(), std::back_inserter(systems));
    return absl::OkStatus();
  };
  LATHE_RETURN_IF_ERROR(WalkNetwork(graph, source, samples, visit));
  std::vector<double> scores(groups.symbol_count);
  for (size_t g = 0; g < groups.groups.size(); ++g) {
    if (groups.groups[g].is_pinned) continue;
    std::vector<Reader> own;
    for (const LayerSystem& system : systems) {
      const bool is_own = std::any_of(
          system.symbols.begin(), system.symbols.end(), [&](int symbol) {
            return group_of_symbol[symbol] == static_cast<int>(g);
          });
      if (!is_own) continue;
      std::optional<Reader> reader = MakeReader(system, options.ridge);
      if (reader) own.push_back(*std::move(reader));
    }
    Elimination(groups.groups[g], std::move(own)).Run(&scores);
  }
  return scores;
}

}  // namespace lathe

// Predicts a plan's latency and size without running it.
#ifndef LATHE_AGENT_COST_MODEL_H_
#define LATHE_AGENT_COST_MODEL_H_

#include <array>
#include <functional>
#include <vector>

#include "absl/types/span.h"
#include "agent/additive_correction.h"
#include "agent/decisions.h"
#include "agent/min_sum.h"
#include "agent/state_archive.h"
#include "proto/latency_curve.h"
#include "proto/types.pb.h"

namespace lathe {

// Latency is the sum of the layers' (LatencyCurves) and a fixed part, size the
// sum of the weights' bytes and a fixed part, both corrected by the trials seen
// (AdditiveCorrection). So predictions stay sums over layers, and exact
// minimisation stays possible. Not thread-safe.
class CostModel {
 public:
  // `space` must outlive the model.
  CostModel(const DecisionSpace* space, const v1::LatencyTable& table,
            const v1::Measurement& baseline);

  // On the baseline's clock: measured ratio x the baseline's latency.
  double LatencyUs(absl::Span<const int> choices) const;
  double Bytes(absl::Span<const int> choices) const;

  double baseline_us() const { return baseline_us_; }
  double baseline_bytes() const { return baseline_bytes_; }

  // Corrects the factors by a measured trial, unless enough are known already.
  // Whether predictions changed.
  bool Observe(absl::Span<const int> choices,
               const v1::Measurement& measurement);
  // How far measured latencies and sizes scatter about their predictions:
  // relative standard deviations.
  double latency_noise() const { return latency_.noise(); }
  double size_noise() const { return size_.noise(); }
  // Changes whenever predictions may have changed.
  int revision() const { return revision_; }

  // See StateArchive.
  void Visit(StateArchive& archive) {
    archive(latency_);
    archive(size_);
    archive(revision_);
  }

  // ---- Parts, corrected. ----
  double FixedUs() const;
  double FixedBytes() const;
  struct LayerCost {
    double us = 0;
    double bytes = 0;
  };
  // `keeps` by group.
  LayerCost CostOf(int layer, int option, absl::Span<const int> keeps) const;

  // For each layer the least `price` over its options, as a table over keep
  // choices of groups (the MinSum variables). At most two input groups, the
  // widest, are variables; further ones count as kept whole.
  using Price = std::function<double(int layer, int option, LayerCost cost)>;
  std::vector<CostTable> LeastTables(const Price& price) const;

 private:
  // A layer at one combination of its groups' keep choices.
  struct Cell {
    // As the table has it.
    std::array<double, kPrecisionCount> us = {};
    // Of the layer's weights that is left.
    double share = 1;
    double log_in = 0;
    double log_out = 0;
    // Costs by option, as they stood at a revision.
    mutable std::vector<LayerCost> corrected;
    mutable int revision = -1;
  };
  struct Grid {
    std::vector<int> groups;
    std::vector<Cell> cells;
    // Whether `groups` are all that the layer depends on.
    bool is_complete = true;
  };
  Grid MakeGrid(int layer) const;
  Cell MakeCell(int layer, absl::Span<const int> keeps) const;
  CostPart LatencyPart(int layer, int option, const Cell& cell) const;
  CostPart SizePart(int layer, int option, const Cell& cell) const;
  LayerCost Corrected(int layer, int option, const Cell& cell) const;
  const Cell* FindCell(int layer, absl::Span<const int> keeps) const;
  struct Parts {
    CostParts us;
    CostParts bytes;
  };
  Parts PartsOf(absl::Span<const int> choices) const;

  const DecisionSpace* const space_;
  const double baseline_us_;
  const double baseline_bytes_;
  const double other_us_;
  const double other_bytes_;
  LatencyCurves curves_;
  std::vector<Grid> grids_;
  AdditiveCorrection latency_;
  AdditiveCorrection size_;
  int revision_ = 0;
};

}  // namespace lathe

#endif  // LATHE_AGENT_COST_MODEL_H_

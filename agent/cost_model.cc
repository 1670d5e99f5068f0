#include "agent/cost_model.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "agent/objective.h"

namespace lathe {
namespace {

// The table is measured layer by layer, so that caches are warmer than in the
// network, and without what lies between layers of different precisions.
AdditiveCorrection::Options LatencyPrior() {
  AdditiveCorrection::Options prior;
  prior.of_kind = 0.2;
  prior.of_rest = 0.2;
  prior.of_layer = 0.1;
  prior.noise = 0.02;
  return prior;
}

// Before trials tell, size is thought to be that of the exported ONNX file,
// whose narrow weights stand as bytes.
AdditiveCorrection::Options SizePrior() {
  AdditiveCorrection::Options prior;
  prior.of_all = 0.1;
  prior.of_kind = 0.3;
  prior.of_rest = 0.3;
  prior.of_layer = 0.05;
  prior.noise = 0.005;
  return prior;
}

constexpr std::array<double, kPrecisionCount> kKernelBytes = {4, 2, 1, 1};

double OtherBytes(const DecisionSpace& space, double whole) {
  double weights = 0;
  for (const v1::Layer& layer : space.space().layers()) {
    weights += layer.parameters() * kKernelBytes[0];
  }
  return std::max(0.0, whole - weights);
}

double PositiveOr(double value, double otherwise) {
  return value > 0 ? value : otherwise;
}

double LogShare(int64_t channels, int64_t whole) {
  return std::log2(static_cast<double>(std::max<int64_t>(1, channels)) /
                   static_cast<double>(std::max<int64_t>(1, whole)));
}

double WeightBytes(const v1::SearchSpace& space) {
  double bytes = 0;
  for (const v1::Layer& layer : space.layers()) {
    bytes += layer.parameters() * kKernelBytes[0];
  }
  return bytes;
}

}  // namespace

CostModel::CostModel(const DecisionSpace* space, const v1::LatencyTable& table,
                     const v1::Measurement& baseline)
    : space_(space),
      baseline_us_(PositiveOr(baseline.latency_us(), 1)),
      baseline_bytes_(PositiveOr(static_cast<double>(MeasuredBytes(baseline)),
                                 std::max(1.0, WeightBytes(space->space())))),
      other_us_(std::max(0.0, table.other_us())),
      other_bytes_(OtherBytes(*space, baseline_bytes_)),
      curves_(space->space(), table, baseline_us_),
      latency_(LatencyPrior()),
      size_(SizePrior()) {
  for (int i = 0; i < space_->space().layers_size(); ++i) {
    grids_.push_back(MakeGrid(i));
  }
  const Parts uncompressed = PartsOf(Choices(space_->size(), 0));
  latency_.Observe(uncompressed.us, baseline_us_);
  size_.Observe(uncompressed.bytes, baseline_bytes_);
}

CostModel::Cell CostModel::MakeCell(int layer,
                                    absl::Span<const int> keeps) const {
  const int64_t in = space_->InChannels(layer, keeps);
  const int64_t out =
      space_->OutChannels(layer, keeps[space_->group_of(layer)]);
  Cell cell;
  for (const v1::Precision precision :
       {v1::F32, v1::BF16, v1::INT8, v1::INT8_DYNAMIC}) {
    cell.us[PrecisionIndex(precision)] = curves_.Us(layer, precision, in, out);
  }
  const v1::Layer& whole = space_->space().layers(layer);
  cell.share = WorkShare(whole, in, out);
  cell.log_in = LogShare(in, whole.in_channels());
  cell.log_out = LogShare(out, whole.out_channels());
  return cell;
}

CostModel::Grid CostModel::MakeGrid(int layer) const {
  const auto& groups = space_->groups();
  std::vector<int> inputs;
  for (const int g : space_->inputs_of(layer)) {
    if (g != space_->group_of(layer) && groups[g].keep_ratios.size() > 1) {
      inputs.push_back(g);
    }
  }
  std::stable_sort(inputs.begin(), inputs.end(), [&groups](int a, int b) {
    return groups[a].channels > groups[b].channels;
  });
  Grid grid;
  grid.is_complete = inputs.size() <= 2;
  if (!grid.is_complete) inputs.resize(2);
  grid.groups = inputs;
  grid.groups.push_back(space_->group_of(layer));
  std::sort(grid.groups.begin(), grid.groups.end());

  size_t cells = 1;
  for (const int g : grid.groups) cells *= groups[g].keep_ratios.size();
  std::vector<int> keeps(groups.size(), 0);
  for (size_t cell = 0; cell < cells; ++cell) {
    size_t rest = cell;
    for (auto g = grid.groups.rbegin(); g != grid.groups.rend(); ++g) {
      keeps[*g] = static_cast<int>(rest % groups[*g].keep_ratios.size());
      rest /= groups[*g].keep_ratios.size();
    }
    grid.cells.push_back(MakeCell(layer, keeps));
  }
  return grid;
}

const CostModel::Cell* CostModel::FindCell(int layer,
                                           absl::Span<const int> keeps) const {
  const Grid& grid = grids_[layer];
  if (!grid.is_complete) return nullptr;
  size_t index = 0;
  for (const int g : grid.groups) {
    index = index * space_->groups()[g].keep_ratios.size() + keeps[g];
  }
  return &grid.cells[index];
}

CostPart CostModel::LatencyPart(int layer, int option, const Cell& cell) const {
  CostPart part;
  part.kind = PrecisionIndex(space_->option(layer, option).precision());
  part.amount = cell.us[part.kind];
  part.log_in = cell.log_in;
  part.log_out = cell.log_out;
  part.option = part.kind;
  return part;
}

CostPart CostModel::SizePart(int layer, int option, const Cell& cell) const {
  const v1::PrecisionOption& chosen = space_->option(layer, option);
  CostPart part;
  // Weights of 8 bits and less lie in bytes, whatever computes with them.
  const bool has_bytes = chosen.weight_bits() <= 8;
  part.kind = PrecisionIndex(has_bytes && chosen.precision() == v1::F32
                                 ? v1::INT8
                                 : chosen.precision());
  part.amount = kKernelBytes[part.kind] * cell.share *
                static_cast<double>(space_->space().layers(layer).parameters());
  if (has_bytes) {
    part.saving = part.amount * (1 - chosen.weight_bits() / 8.0);
  }
  part.log_in = cell.log_in;
  part.log_out = cell.log_out;
  part.option = option;
  return part;
}

CostModel::LayerCost CostModel::Corrected(int layer, int option,
                                          const Cell& cell) const {
  if (cell.revision != revision_) {
    cell.corrected.clear();
    const int options = space_->space().layers(layer).precisions_size();
    for (int o = 0; o < options; ++o) {
      cell.corrected.push_back(
          {latency_.Corrected(layer, LatencyPart(layer, o, cell)),
           size_.Corrected(layer, SizePart(layer, o, cell))});
    }
    cell.revision = revision_;
  }
  return cell.corrected[option];
}

CostModel::LayerCost CostModel::CostOf(int layer, int option,
                                       absl::Span<const int> keeps) const {
  const Cell* cell = FindCell(layer, keeps);
  if (cell != nullptr) return Corrected(layer, option, *cell);
  return Corrected(layer, option, MakeCell(layer, keeps));
}

double CostModel::FixedUs() const { return latency_.CorrectedRest(other_us_); }

double CostModel::FixedBytes() const {
  return size_.CorrectedRest(other_bytes_);
}

double CostModel::LatencyUs(absl::Span<const int> choices) const {
  const std::vector<int> keeps = space_->Keeps(choices);
  double us = FixedUs();
  for (int i = 0; i < space_->space().layers_size(); ++i) {
    us += CostOf(i, choices[space_->option_decision(i)], keeps).us;
  }
  return us;
}

double CostModel::Bytes(absl::Span<const int> choices) const {
  const std::vector<int> keeps = space_->Keeps(choices);
  double bytes = FixedBytes();
  for (int i = 0; i < space_->space().layers_size(); ++i) {
    bytes += CostOf(i, choices[space_->option_decision(i)], keeps).bytes;
  }
  return bytes;
}

CostModel::Parts CostModel::PartsOf(absl::Span<const int> choices) const {
  const std::vector<int> keeps = space_->Keeps(choices);
  Parts parts;
  parts.us.rest = other_us_;
  parts.bytes.rest = other_bytes_;
  for (int i = 0; i < space_->space().layers_size(); ++i) {
    const int option = choices[space_->option_decision(i)];
    const Cell* found = FindCell(i, keeps);
    const Cell cell = found != nullptr ? *found : MakeCell(i, keeps);
    parts.us.layers.push_back(LatencyPart(i, option, cell));
    parts.bytes.layers.push_back(SizePart(i, option, cell));
  }
  return parts;
}

bool CostModel::Observe(absl::Span<const int> choices,
                        const v1::Measurement& measurement) {
  const double us = measurement.latency_ratio() > 0
                        ? measurement.latency_ratio() * baseline_us_
                        : measurement.latency_us();
  Parts parts = PartsOf(choices);
  bool has_learned = us > 0 && latency_.Observe(std::move(parts.us), us);
  const double bytes = static_cast<double>(MeasuredBytes(measurement));
  if (bytes > 0 && size_.Observe(std::move(parts.bytes), bytes)) {
    has_learned = true;
  }
  if (has_learned) ++revision_;
  return has_learned;
}

std::vector<CostTable> CostModel::LeastTables(const Price& price) const {
  std::vector<CostTable> tables;
  for (int i = 0; i < space_->space().layers_size(); ++i) {
    CostTable table;
    table.variables = grids_[i].groups;
    for (const Cell& cell : grids_[i].cells) {
      double least = std::numeric_limits<double>::infinity();
      const int options = space_->space().layers(i).precisions_size();
      for (int option = 0; option < options; ++option) {
        least = std::min(least, price(i, option, Corrected(i, option, cell)));
      }
      table.values.push_back(least);
    }
    tables.push_back(std::move(table));
  }
  return tables;
}

}  // namespace lathe

#include "agent/cost_model.h"

#include <algorithm>
#include <limits>

#include "agent/objective.h"

namespace lathe {
namespace {

// Parts of a latency: all, f32 layers, bf16 layers, int8 layers, the rest. The
// first coefficient is what all have in common (the table is measured layer by
// layer, so caches are warmer than in the network), the others what is special
// to each, within +-20 %.
constexpr int kAll = 0;
constexpr int kFirstPrecision = 1;
constexpr int kRest = 4;
LinearCorrection::Options LatencyPrior() {
  return {{1, 0, 0, 0, 0}, {1, 0.2, 0.2, 0.2, 0.2}, /*noise=*/0.03};
}

// Parts of a size: f32, bf16 and int8 weights at their kernel's width, bytes
// that narrower int8 weights would save if they were packed, the rest. The
// prior is the exported ONNX file, whose narrow weights stand as bytes.
constexpr int kSaved = 3;
LinearCorrection::Options SizePrior() {
  return {{1, 1, 1, 0, 1}, {0.1, 0.7, 0.3, 0.7, 0.3}, /*noise=*/0.01};
}

constexpr std::array<double, kPrecisionCount> kKernelBytes = {4, 2, 1};

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

double WeightBytes(const v1::SearchSpace& space) {
  double bytes = 0;
  for (const v1::Layer& layer : space.layers()) {
    bytes += layer.parameters() * kKernelBytes[0];
  }
  return bytes;
}

// Factors below this would promise what no kernel can do, and negative ones
// would break every bound.
constexpr double kLeastFactor = 0.2;

double LatencyFactor(const std::vector<double>& coefficients, int part) {
  return std::max(kLeastFactor, coefficients[kAll] + coefficients[part]);
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
  const Choices uncompressed(space_->size(), 0);
  latency_.Observe(LatencyParts(uncompressed), baseline_us_);
  size_.Observe(SizeParts(uncompressed), baseline_bytes_);
}

CostModel::Cell CostModel::MakeCell(int layer,
                                    absl::Span<const int> keeps) const {
  const int64_t in = space_->InChannels(layer, keeps);
  const int64_t out =
      space_->OutChannels(layer, keeps[space_->group_of(layer)]);
  Cell cell;
  for (const v1::Precision precision : {v1::F32, v1::BF16, v1::INT8}) {
    cell.us[PrecisionIndex(precision)] = curves_.Us(layer, precision, in, out);
  }
  cell.share = WorkShare(space_->space().layers(layer), in, out);
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

CostModel::LayerCost CostModel::Corrected(int layer, int option,
                                          const Cell& cell) const {
  const v1::PrecisionOption& chosen = space_->option(layer, option);
  const int precision = PrecisionIndex(chosen.precision());
  const double weights =
      cell.share * space_->space().layers(layer).parameters();
  const std::vector<double>& size = size_.coefficients();
  double bytes =
      std::max(0.0, size[precision]) * kKernelBytes[precision] * weights;
  if (chosen.precision() == v1::INT8) {
    const double saved = weights * (1 - chosen.weight_bits() / 8.0);
    bytes -= std::min(std::max(0.0, size[kSaved]) * saved, bytes);
  }
  return {LatencyFactor(latency_.coefficients(), kFirstPrecision + precision) *
              cell.us[precision],
          bytes};
}

CostModel::LayerCost CostModel::CostOf(int layer, int option,
                                       absl::Span<const int> keeps) const {
  const Cell* cell = FindCell(layer, keeps);
  if (cell != nullptr) return Corrected(layer, option, *cell);
  return Corrected(layer, option, MakeCell(layer, keeps));
}

double CostModel::FixedUs() const {
  return LatencyFactor(latency_.coefficients(), kRest) * other_us_;
}

double CostModel::FixedBytes() const {
  return std::max(0.0, size_.coefficients()[kRest]) * other_bytes_;
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

std::vector<double> CostModel::LatencyParts(
    absl::Span<const int> choices) const {
  const std::vector<int> keeps = space_->Keeps(choices);
  std::vector<double> parts(kRest + 1, 0);
  parts[kRest] = other_us_;
  for (int i = 0; i < space_->space().layers_size(); ++i) {
    const int precision = PrecisionIndex(
        space_->option(i, choices[space_->option_decision(i)]).precision());
    const Cell* found = FindCell(i, keeps);
    const Cell cell = found != nullptr ? *found : MakeCell(i, keeps);
    parts[kFirstPrecision + precision] += cell.us[precision];
  }
  for (int p = kFirstPrecision; p <= kRest; ++p) parts[kAll] += parts[p];
  return parts;
}

std::vector<double> CostModel::SizeParts(absl::Span<const int> choices) const {
  const std::vector<int> keeps = space_->Keeps(choices);
  std::vector<double> parts(kRest + 1, 0);
  parts[kRest] = other_bytes_;
  for (int i = 0; i < space_->space().layers_size(); ++i) {
    const v1::PrecisionOption& chosen =
        space_->option(i, choices[space_->option_decision(i)]);
    const int precision = PrecisionIndex(chosen.precision());
    const Cell* found = FindCell(i, keeps);
    const double share =
        found != nullptr ? found->share : MakeCell(i, keeps).share;
    const double weights = share * space_->space().layers(i).parameters();
    parts[precision] += weights * kKernelBytes[precision];
    if (chosen.precision() == v1::INT8) {
      parts[kSaved] -= weights * (1 - chosen.weight_bits() / 8.0);
    }
  }
  return parts;
}

void CostModel::Observe(absl::Span<const int> choices,
                        const v1::Measurement& measurement) {
  const double us = measurement.latency_ratio() > 0
                        ? measurement.latency_ratio() * baseline_us_
                        : measurement.latency_us();
  if (us > 0) latency_.Observe(LatencyParts(choices), us);
  const double bytes = static_cast<double>(MeasuredBytes(measurement));
  if (bytes > 0) size_.Observe(SizeParts(choices), bytes);
  ++revision_;
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

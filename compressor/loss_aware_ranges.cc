#include "compressor/loss_aware_ranges.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <optional>
#include <utility>
#include <vector>

#include "base/status.h"
#include "compressor/calibration_walk.h"
#include "compressor/fixed_batch_source.h"
#include "compressor/shape_inference.h"

namespace lathe {
namespace {

using Grids = std::map<ValueId, ActivationGrid>;
using Tensors = std::vector<std::optional<Tensor>>;  // By value.

// Exponents whose losses the parabola goes through. 2 is first: the others have
// to beat it.
constexpr std::array<double, 5> kNorms = {2, 2.5, 3, 3.5, 4};
constexpr double kMostNorm = 8;
// What a scale is tried at; halved towards 1 in each further turn.
constexpr std::array<double, 4> kSteps = {-0.2, -0.1, 0.1, 0.25};

// The exponent where the parabola of least squares through (norm, loss) is
// least; none where it has no least point.
std::optional<double> LeastOfParabola(const std::vector<double>& losses) {
  // Around the mean: s[k] is the sum of x^k, t[k] that of x^k * loss.
  double mean = 0;
  for (const double norm : kNorms) mean += norm / kNorms.size();
  std::array<double, 5> s = {};
  std::array<double, 3> t = {};
  for (size_t i = 0; i < kNorms.size(); ++i) {
    double power = 1;
    for (size_t k = 0; k < s.size(); ++k, power *= kNorms[i] - mean) {
      s[k] += power;
      if (k < t.size()) t[k] += power * losses[i];
    }
  }
  // The exponents lie evenly, so that odd sums vanish.
  const double b = t[1] / s[2];
  const double a = (t[2] - s[2] * t[0] / s[0]) / (s[4] - s[2] * s[2] / s[0]);
  if (!(a > 0)) return std::nullopt;
  return std::min(std::max(mean - b / (2 * a), 1.0), kMostNorm);
}

class LossAware {
 public:
  LossAware(const Graph& original, const GraphParts& quantized,
            const std::set<ValueId>& ids, const ActivationStats& stats,
            ActivationSource& source, const LossAwareOptions& options)
      : original_(original),
        quantized_(quantized),
        ids_(ids),
        stats_(stats),
        source_(source),
        options_(options) {}

  absl::StatusOr<Grids> Run(int64_t samples) {
    LATHE_ASSIGN_OR_RETURN(inputs_, source_.Inputs(0, samples));
    LATHE_ASSIGN_OR_RETURN(const Tensors plain, RunAll(original_.parts(), {}));
    for (const ValueId id : original_.outputs()) targets_[id] = plain[id];
    LATHE_RETURN_IF_ERROR(ChooseNorm());
    double step = 1;
    for (int turn = 0; turn < options_.turns; ++turn, step /= 2) {
      LATHE_RETURN_IF_ERROR(TurnOver(step));
    }
    return grids_;
  }

 private:
  Grids GridsBy(double norm) const {
    RangeOptions range = options_.range;
    range.method = norm == 2 ? RangeMethod::kMse : RangeMethod::kNorm;
    range.norm = norm;
    Grids grids;
    for (const ValueId id : ids_) {
      const std::string& name = original_.value(id).name;
      grids[id] = ChooseGrid(stats_.tensors.at(name), range);
    }
    return grids;
  }

  absl::Status Try(const Grids& grids) {
    LATHE_ASSIGN_OR_RETURN(Tensors tensors, RunAll(quantized_, grids));
    const double loss = LossOf(tensors);
    losses_.push_back(loss);
    if (tensors_.empty() || loss < loss_) {
      grids_ = grids;
      tensors_ = std::move(tensors);
      loss_ = loss;
    }
    return absl::OkStatus();
  }

  absl::Status ChooseNorm() {
    for (const double norm : kNorms) {
      LATHE_RETURN_IF_ERROR(Try(GridsBy(norm)));
    }
    const std::optional<double> norm = LeastOfParabola(losses_);
    return norm ? Try(GridsBy(*norm)) : absl::OkStatus();
  }

  // Each scale once, in the order in which the values are made, so that what
  // lies before it needs no second run.
  absl::Status TurnOver(double step) {
    LATHE_RETURN_IF_ERROR(TurnInputs(step));
    for (size_t i = 0; i < quantized_.nodes.size(); ++i) {
      for (const ValueId id : quantized_.nodes[i].outputs) {
        if (id == kNoValue || ids_.count(id) == 0) continue;
        LATHE_RETURN_IF_ERROR(TryScales(id, static_cast<int>(i), step));
      }
    }
    return absl::OkStatus();
  }

  absl::Status TurnInputs(double step) {
    for (const ValueId id : original_.inputs()) {
      if (ids_.count(id) == 0) continue;
      LATHE_RETURN_IF_ERROR(TryScales(id, /*maker=*/-1, step));
    }
    return absl::OkStatus();
  }

  // `maker` is the node that makes `id`; -1: an input.
  absl::Status TryScales(ValueId id, int maker, double step) {
    const float centre = grids_.at(id).scale;
    for (const double change : kSteps) {
      Grids grids = grids_;
      grids[id].scale = centre * static_cast<float>(1 + step * change);
      LATHE_ASSIGN_OR_RETURN(Tensors tensors,
                             RunFrom(maker, quantized_, grids, tensors_));
      const double loss = LossOf(tensors);
      if (loss >= loss_) continue;
      loss_ = loss;
      grids_ = std::move(grids);
      tensors_ = std::move(tensors);
    }
    return absl::OkStatus();
  }

  absl::StatusOr<Tensors> RunAll(const GraphParts& parts, const Grids& grids) {
    return RunFrom(-1, parts, grids, Tensors(parts.values.size()));
  }

  // The run `before`, with what node `first` and those behind it make anew.
  absl::StatusOr<Tensors> RunFrom(int first, const GraphParts& parts,
                                  const Grids& grids, Tensors tensors) {
    if (first < 0) {
      for (size_t i = 0; i < inputs_.size(); ++i) {
        const ValueId id = original_.inputs()[i];
        tensors[id] = Stored(id, inputs_[i], grids);
      }
    }
    const int count = static_cast<int>(parts.nodes.size());
    for (int i = std::max(first, 0); i < count; ++i) {
      const Node& node = parts.nodes[i];
      std::vector<Tensor> given;
      for (const ValueId id : node.inputs) {
        given.push_back(id == kNoValue              ? Nothing()
                        : parts.values[id].constant ? *parts.values[id].constant
                                                    : *tensors[id]);
      }
      LATHE_ASSIGN_OR_RETURN(const std::vector<Tensor> made,
                             source_.Run(node, given));
      for (size_t o = 0; o < node.outputs.size(); ++o) {
        const ValueId id = node.outputs[o];
        if (id != kNoValue) tensors[id] = Stored(id, made[o], grids);
      }
    }
    return tensors;
  }

  static Tensor Nothing() {
    return Tensor::Of<float>({0}, std::vector<float>());
  }

  // On its grid, within the levels that the grid's bits give.
  Tensor Stored(ValueId id, const Tensor& tensor, const Grids& grids) const {
    const auto grid = grids.find(id);
    if (grid == grids.end() || tensor.type() != DataType::kFloat32) {
      return tensor;
    }
    Tensor rounded = RoundToGrid(tensor, grid->second);
    if (options_.range.bits == 8) return rounded;
    const ActivationGrid& g = grid->second;
    const int most = LargestLevel(g.is_signed, options_.range.bits);
    const float high = g.scale * static_cast<float>(most - g.zero_point);
    const float low =
        g.scale * static_cast<float>((g.is_signed ? -most : 0) - g.zero_point);
    std::vector<float> values(rounded.size());
    std::transform(
        rounded.values<float>().begin(), rounded.values<float>().end(),
        values.begin(),
        [low, high](float x) { return std::min(std::max(x, low), high); });
    return Tensor::Of<float>(rounded.shape(), values);
  }

  double LossOf(const Tensors& tensors) const {
    double loss = 0;
    for (const auto& [id, target] : targets_) {
      if (target->type() != DataType::kFloat32) continue;
      const auto wanted = target->values<float>();
      const auto given = tensors[id]->values<float>();
      double sum = 0;
      for (size_t i = 0; i < wanted.size(); ++i) {
        const double difference = wanted[i] - given[i];
        sum += difference * difference;
      }
      loss += sum / static_cast<double>(std::max<size_t>(1, wanted.size()));
    }
    return loss;
  }

  const Graph& original_;
  const GraphParts& quantized_;
  const std::set<ValueId>& ids_;
  const ActivationStats& stats_;
  ActivationSource& source_;
  const LossAwareOptions& options_;
  std::vector<Tensor> inputs_;
  std::map<ValueId, std::optional<Tensor>> targets_;  // By graph output.
  std::vector<double> losses_;                        // By norm.
  // The best so far.
  Grids grids_;
  Tensors tensors_;
  double loss_ = 0;
};

}  // namespace

absl::StatusOr<std::map<ValueId, ActivationGrid>> LossAwareGrids(
    const Graph& original, const GraphParts& quantized,
    const std::set<ValueId>& ids, const ActivationStats& stats,
    ActivationSource& source, const LossAwareOptions& options) {
  if (ids.empty()) return Grids();
  // Nothing is freed on the way, and runs share what they have in common: eight
  // times what is alive at once bounds the sample networks.
  LATHE_ASSIGN_OR_RETURN(
      const int64_t samples,
      FittingSamples(original, source, options.samples, /*copies=*/8));
  const std::optional<int64_t> fixed = FixedBatch(original);
  FixedBatchSource batched(original, source, fixed.value_or(1));
  return LossAware(original, quantized, ids, stats,
                   fixed ? static_cast<ActivationSource&>(batched) : source,
                   options)
      .Run(samples);
}

}  // namespace lathe

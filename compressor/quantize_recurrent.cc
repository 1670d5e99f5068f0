#include "compressor/quantize_recurrent.h"

#include <Eigen/Core>
#include <algorithm>
#include <utility>

#include "base/status.h"
#include "compressor/gram_rounding.h"
#include "compressor/recurrent_rows.h"
#include "compressor/regression_rows.h"
#include "compressor/ridge.h"
#include "compressor/weight_quantizer.h"

namespace lathe {
namespace {

// Rounds the rows of `tensor`, [1, rows, columns], by what they are multiplied
// with.
absl::StatusOr<QuantizedWeights> RoundRows(const Tensor& tensor, int bits,
                                           const Observations& x,
                                           const WeightOptions& options) {
  QuantizedWeights quantized;
  quantized.bits = bits;
  const int64_t rows = tensor.shape()[1];
  const int64_t columns = tensor.shape()[2];
  const Eigen::MatrixXd gram =
      (x.transpose() * x).cast<double>() / std::max<Eigen::Index>(1, x.rows());
  const GramRounding rounding(gram, options.ridge);
  const auto values = tensor.values<float>();
  for (int64_t r = 0; r < rows; ++r) {
    const auto row = values.subspan(r * columns, columns);
    LATHE_ASSIGN_OR_RETURN(
        const WeightGrid grid,
        ChooseWeightGrid(row, bits, options.scale_method, options.grids));
    const Eigen::VectorXf wanted =
        Eigen::Map<const Eigen::VectorXf>(row.data(), columns);
    const RoundedChannel channel =
        rounding.Round(wanted, grid, /*fits_scale=*/true);
    quantized.scales.push_back(channel.scale);
    if (IsAsymmetric(options.grids, bits)) {
      quantized.zero_points.push_back(ZeroPointOf(grid, bits));
    }
    quantized.levels.insert(quantized.levels.end(), channel.levels.begin(),
                            channel.levels.end());
  }
  DropZeroPoints(&quantized);
  return quantized;
}

}  // namespace

absl::StatusOr<QuantizedRecurrent> QuantizeRecurrent(
    const Node& node, const Tensor& weights, const Tensor& recurrence, int bits,
    const std::optional<RecurrentSamples>& samples,
    const WeightOptions& options) {
  QuantizedRecurrent quantized;
  const bool is_by_gram = samples && weights.shape()[0] == 1 &&
                          options.rounding == WeightRounding::kSecondOrder &&
                          options.scale_scope == ScaleScope::kPerChannel &&
                          samples->input.size() > 0;
  LATHE_ASSIGN_OR_RETURN(
      quantized.weights,
      QuantizeWeights(weights, kRecurrentScaleAxis, bits, options.scale_method,
                      options.scale_scope, options.grids));
  LATHE_ASSIGN_OR_RETURN(quantized.recurrence,
                         QuantizeWeights(recurrence, kRecurrentScaleAxis, bits,
                                         options.scale_method,
                                         options.scale_scope, options.grids));
  if (!is_by_gram) return quantized;
  const RecurrentRows rows(node, samples->input.shape(), recurrence.shape(),
                           kLeastRegressionRows);
  LATHE_ASSIGN_OR_RETURN(
      quantized.weights,
      RoundRows(weights, bits, rows.Inputs(samples->input), options));
  LATHE_ASSIGN_OR_RETURN(
      quantized.recurrence,
      RoundRows(recurrence, bits, rows.LastStates(samples->states, 0),
                options));
  return quantized;
}

}  // namespace lathe

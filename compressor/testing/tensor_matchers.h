// Comparing tensors in tests.
#ifndef LATHE_COMPRESSOR_TESTING_TENSOR_MATCHERS_H_
#define LATHE_COMPRESSOR_TESTING_TENSOR_MATCHERS_H_

#include <algorithm>
#include <cmath>
#include <vector>

#include "compressor/reference_ops.h"
#include "compressor/tensor.h"
#include "gtest/gtest.h"

namespace lathe {

// Fails the test unless `actual` has the shape of `expected` and differs by at
// most `tolerance` times the largest magnitude of `expected`.
inline void ExpectNear(const Tensor& actual, const Tensor& expected,
                       double tolerance) {
  ASSERT_EQ(actual.shape(), expected.shape());
  double largest = 0;
  for (const float x : expected.values<float>()) {
    largest = std::max(largest, std::abs(static_cast<double>(x)));
  }
  for (int64_t i = 0; i < expected.size(); ++i) {
    ASSERT_NEAR(actual.values<float>()[i], expected.values<float>()[i],
                tolerance * largest)
        << "element " << i;
  }
}

// Root of the mean squared difference.
inline double RootMeanSquare(const Tensor& a, const Tensor& b) {
  double sum = 0;
  for (int64_t i = 0; i < a.size(); ++i) {
    const double d = a.values<float>()[i] - b.values<float>()[i];
    sum += d * d;
  }
  return std::sqrt(sum / static_cast<double>(a.size()));
}

// The first output of the graph; the test fails if it does not run.
inline Tensor Evaluate(const Graph& graph, const Tensor& input) {
  absl::StatusOr<std::vector<Tensor>> outputs = EvaluateGraph(graph, {input});
  EXPECT_TRUE(outputs.ok()) << outputs.status();
  return outputs.ok() ? (*outputs)[0] : Tensor();
}

inline bool IsSame(const std::optional<QuantizedWeights>& a,
                   const std::optional<QuantizedWeights>& b) {
  if (!a || !b) return a.has_value() == b.has_value();
  return a->levels == b->levels && a->scales == b->scales &&
         a->zero_points == b->zero_points;
}

// Whether the graphs have the same nodes and constants, bit for bit.
inline bool AreEqual(const Graph& a, const Graph& b) {
  if (a.values().size() != b.values().size() ||
      a.nodes().size() != b.nodes().size()) {
    return false;
  }
  for (size_t i = 0; i < a.values().size(); ++i) {
    const Value& x = a.values()[i];
    const Value& y = b.values()[i];
    if (x.name != y.name || x.constant.has_value() != y.constant.has_value() ||
        x.grid.has_value() != y.grid.has_value()) {
      return false;
    }
    if (x.constant && (x.constant->shape() != y.constant->shape() ||
                       x.constant->bytes() != y.constant->bytes())) {
      return false;
    }
    if (x.grid && (x.grid->scale != y.grid->scale ||
                   x.grid->is_signed != y.grid->is_signed)) {
      return false;
    }
  }
  for (size_t i = 0; i < a.nodes().size(); ++i) {
    const Node& x = a.nodes()[i];
    const Node& y = b.nodes()[i];
    if (x.name != y.name || x.inputs != y.inputs ||
        x.precision != y.precision ||
        !IsSame(x.quantized_weights, y.quantized_weights) ||
        !IsSame(x.quantized_recurrence, y.quantized_recurrence)) {
      return false;
    }
  }
  return true;
}

}  // namespace lathe

#endif  // LATHE_COMPRESSOR_TESTING_TENSOR_MATCHERS_H_

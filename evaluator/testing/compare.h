// How an executed graph is compared with the reference operators.
#ifndef LATHE_EVALUATOR_TESTING_COMPARE_H_
#define LATHE_EVALUATOR_TESTING_COMPARE_H_

#include <functional>
#include <vector>

#include "absl/types/span.h"
#include "compressor/graph.h"
#include "compressor/tensor.h"
#include "evaluator/testing/graph_builder.h"

namespace lathe {

// The largest magnitude.
float Most(absl::Span<const float> values);

// Largest difference of two elements at the same place.
float LargestDifference(const Tensor& actual, const Tensor& expected);

// Root of the sum of squared differences, as a share of `expected`'s.
double RelativeError(const Tensor& actual, const Tensor& expected);

// Expects that every element agrees within 1e-4 of the largest one.
void ExpectSameInFloat(const Graph& graph, const std::vector<Tensor>& inputs);

// The same for graphs with grids. A number that two ways of rounding put on
// neighbouring levels moves what reads it by a step times a weight, and may
// cost the result a step of its own; at most 2 % of the elements may differ so.
void ExpectSameOnGrids(const Graph& graph, const std::vector<Tensor>& inputs);

// Makes a graph, its layers in the given precision.
using MakeGraph = std::function<Graph(GraphBuilder&, v1::Precision)>;

// Both of the above on random inputs: layers in float32, and in INT8 with
// unsigned grids, with signed ones, and with zero points.
void ExpectSame(const MakeGraph& make, int seed);

}  // namespace lathe

#endif  // LATHE_EVALUATOR_TESTING_COMPARE_H_

// How an executed graph is compared with the reference operators.
#ifndef LATHE_EVALUATOR_TESTING_COMPARE_H_
#define LATHE_EVALUATOR_TESTING_COMPARE_H_

#include <cstdint>
#include <functional>
#include <random>
#include <string>
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

// Channels in layouts of their own: blocks, parts of blocks, few.
inline constexpr int64_t kChannels[] = {16, 24, 3};

// The implementations of the steps for nodes of this operator; not of copies to
// the graph's outputs. Compiled for the batch that the first input declares.
std::vector<std::string> Implementations(const Graph& graph,
                                         const std::string& op_type);
// ExpectSameInFloat on random inputs, and that nodes of the operator do not run
// by EvaluateNode nor by oneDNN's plain kernels.
void ExpectQuick(const Graph& graph, const std::string& op_type,
                 std::mt19937& random);

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

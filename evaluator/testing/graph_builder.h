// Small random graphs for tests of the executor.
#ifndef LATHE_EVALUATOR_TESTING_GRAPH_BUILDER_H_
#define LATHE_EVALUATOR_TESTING_GRAPH_BUILDER_H_

#include <functional>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "compressor/graph.h"
#include "compressor/tensor.h"

namespace lathe {

// A node to be added; the output and the name are made up.
struct NodeSpec {
  std::string op_type;
  std::vector<ValueId> inputs;
  std::map<std::string, Attribute> attributes;
  std::vector<PostOp> post_ops;
  v1::Precision precision = v1::F32;
};

// Not thread-safe. Broken graphs end the test.
class GraphBuilder {
 public:
  explicit GraphBuilder(int seed) : random_(seed) {}

  ValueId Input(Shape shape);
  // Normal numbers of standard deviation `deviation`.
  ValueId Weights(const Shape& shape, float deviation);
  // A float32 scalar.
  ValueId Number(float value);
  ValueId Integers(const std::vector<int64_t>& values);
  ValueId Add(NodeSpec spec);
  // With several outputs.
  std::vector<ValueId> AddMany(NodeSpec spec, int outputs);
  Graph Build(std::vector<ValueId> outputs, int64_t opset = 17);

  std::mt19937& random() { return random_; }
  // A number in [low, high].
  int64_t Between(int64_t low, int64_t high) {
    return low + static_cast<int64_t>(random_() % (high - low + 1));
  }

 private:
  ValueId NewValue(Value value);

  std::mt19937 random_;
  GraphParts parts_;
};

// Post-ops: Relu, and the addition of inputs[input].
PostOp ReluPostOp();
PostOp AddPostOp(int input);

// Adds a convolution with bias and Relu, [in] to [out] channels: kernel x
// kernel, padded so that the size stays. Returns its output.
ValueId AddConv(GraphBuilder& builder, ValueId x, int64_t in, int64_t out,
                v1::Precision precision, int64_t kernel = 3);

// Normal numbers, one tensor for each input of the graph.
std::vector<Tensor> RandomInputs(const Graph& graph, std::mt19937& random);

struct GridOptions {
  bool is_signed = false;
  // Values that are negative somewhere get a signed grid.
  bool is_signed_where_negative = false;
  // Whether u8 grids of values that are negative somewhere get a zero point;
  // otherwise negative numbers are cut off, unless the grid is signed.
  bool has_zero_points = false;
  // Values that get a grid although no INT8 node asks for one.
  std::function<bool(ValueId)> also = nullptr;
};

// Gives INT8 nodes 8-bit weights, one scale per output channel, and grids to
// the values that they read, chosen by running the graph on `inputs`.
Graph WithGrids(const Graph& graph, const std::vector<Tensor>& inputs,
                const GridOptions& options);

// All values of a run of the reference operators in float32, by ValueId.
std::vector<Tensor> EvaluateAllValues(const Graph& graph,
                                      const std::vector<Tensor>& inputs);

// Compiles for the inputs' shapes, runs twice (memory must not remember), and
// returns the outputs.
std::vector<Tensor> Execute(const Graph& graph,
                            const std::vector<Tensor>& inputs);

}  // namespace lathe

#endif  // LATHE_EVALUATOR_TESTING_GRAPH_BUILDER_H_

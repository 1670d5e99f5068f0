// The network as data: nodes in topological order over numbered values.
//
// Two forms share this type. The *parsed* form is the ONNX file as it came:
// one node per ONNX node. The *canonical* form (canonical.h) has constants
// folded, batch norms folded, and activations and residual additions fused
// into the node before them as post-ops; it is what is searched, compressed,
// executed and exported.
//
// Quantisation is part of the meaning, in QDQ terms. A value with a `grid` is
// rounded to that grid by its producer (QuantizeLinear, DequantizeLinear), for
// all its consumers. A node with `quantized_weights` uses the weights
// scale * level. `precision` says in which arithmetic the node runs; INT8 needs
// a grid on input 0 and quantized weights. INT8_DYNAMIC rounds input 0 for this
// node alone, to the grid that the numbers give (dynamic_grid.h); an LSTM or
// GRU rounds its hidden states too. An executor may keep a value with a grid as
// 8-bit integers; the numbers are the same either way.
#ifndef LATHE_COMPRESSOR_GRAPH_H_
#define LATHE_COMPRESSOR_GRAPH_H_

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "absl/status/statusor.h"
#include "compressor/tensor.h"
#include "proto/types.pb.h"

namespace lathe {

// Index in Graph::values(), or kNoValue for an optional input left out.
using ValueId = int;
constexpr ValueId kNoValue = -1;

using Attribute =
    std::variant<int64_t, float, std::string, std::vector<int64_t>,
                 std::vector<float>, std::vector<std::string>, Tensor>;

// An 8-bit grid for activations: real = scale * (level - zero_point), level in
// [-128, 127] when signed and [0, 255] otherwise.
struct ActivationGrid {
  bool is_signed = false;
  float scale = 1;
  int zero_point = 0;
};

// Weights as integers: real[c, i] = scales[c] * levels[c, i], output channel c
// outermost (for Gemm and MatMul weights, whose layout may be [in, out], see
// Node::quantized_weights; for LSTM and GRU a channel is a row of all
// directions). What a file holds of `bits` bits, level + zero point, lies in
// [-2^(bits-1), 2^(bits-1) - 1]; symmetric grids leave the least of these
// levels out.
struct QuantizedWeights {
  int bits = 8;
  // One per output channel; or just one for the whole tensor.
  std::vector<float> scales;
  // What a file adds to the levels of a channel, as many as scales; empty: 0.
  std::vector<int8_t> zero_points;
  // In the element order of the weight tensor.
  std::vector<int8_t> levels;
};

// What is applied to outputs[0] of a node before it is stored, in order.
struct PostOp {
  enum class Kind {
    // Adds the value inputs[input] of the node, broadcast as by ONNX.
    kAdd,
    kRelu,
    // min(max(x, alpha), beta); beta may be infinite.
    kClip,
    // x < 0 ? alpha * x : x.
    kLeakyRelu,
    kSigmoid,
    kTanh,
    // max(0, min(1, alpha * x + beta)).
    kHardSigmoid,
    // x * HardSigmoid(x; 1/6, 1/2).
    kHardSwish,
  };
  Kind kind = Kind::kRelu;
  float alpha = 0;
  float beta = 0;
  // For kAdd: index in the node's inputs.
  int input = -1;
};

struct Node {
  // Name in the model, or "<op>_<index in topological order>" of the parsed
  // graph; unique within a graph.
  std::string name;
  // ONNX's operator, for instance "Conv".
  std::string op_type;
  // Empty for ONNX's own operators.
  std::string domain;
  // The operator's inputs, then those that post-ops add. For Conv and Gemm with
  // post-ops the bias slot inputs[2] is always there, if only as kNoValue.
  std::vector<ValueId> inputs;
  std::vector<ValueId> outputs;
  std::map<std::string, Attribute> attributes;
  std::vector<PostOp> post_ops;

  v1::Precision precision = v1::F32;
  // Of inputs[1]. Set for INT8 and INT8_DYNAMIC, and where weights alone are
  // integers. inputs[1] stays a float32 constant with exactly the values
  // scale * level, so that a reader that ignores this field computes the same.
  std::optional<QuantizedWeights> quantized_weights;
  // The same of inputs[2] of an LSTM or GRU; set together.
  std::optional<QuantizedWeights> quantized_recurrence;

  // The attribute, or `fallback` when it is absent or of another type.
  int64_t IntOr(const std::string& key, int64_t fallback) const;
  float FloatOr(const std::string& key, float fallback) const;
  std::string StringOr(const std::string& key,
                       const std::string& fallback) const;
  std::vector<int64_t> IntsOr(const std::string& key,
                              std::vector<int64_t> fallback) const;

  // How many of `inputs` belong to the operator itself (not to post-ops).
  int OperatorInputs() const;
};

// Whether the node has that input, which may be left out.
bool HasInput(const Node& node, size_t input);

struct Value {
  std::string name;
  DataType type = DataType::kFloat32;
  // As declared by the model for graph inputs and outputs, with kDynamic for
  // symbolic sizes; empty and meaningless for others (see InferShapes).
  Shape shape;
  // Set for constants (initialisers and folded nodes).
  std::optional<Tensor> constant;
  std::optional<ActivationGrid> grid;
};

// What a Graph is made of.
struct GraphParts {
  std::string name;
  // ONNX opset of the default domain that attribute and input forms follow.
  int64_t opset = 17;
  std::vector<Value> values;
  // In topological order.
  std::vector<Node> nodes;
  // Without constants.
  std::vector<ValueId> inputs;
  std::vector<ValueId> outputs;
};

// Immutable.
class Graph {
 public:
  // Errors:
  //   InvalidArgument - an id out of range, a value produced twice or used
  //     before it is produced, two nodes of one name; the message names the
  //     node.
  static absl::StatusOr<Graph> Create(GraphParts parts);

  const GraphParts& parts() const { return parts_; }
  const std::vector<Value>& values() const { return parts_.values; }
  const std::vector<Node>& nodes() const { return parts_.nodes; }
  const std::vector<ValueId>& inputs() const { return parts_.inputs; }
  const std::vector<ValueId>& outputs() const { return parts_.outputs; }
  const Value& value(ValueId id) const { return parts_.values[id]; }

  // Index of the node that produces `id`; none for inputs and constants.
  std::optional<int> Producer(ValueId id) const;
  // Indices of the nodes that read `id`, ascending, each once.
  const std::vector<int>& Consumers(ValueId id) const { return consumers_[id]; }
  bool IsConstant(ValueId id) const {
    return id != kNoValue && values()[id].constant.has_value();
  }
  bool IsOutput(ValueId id) const;

 private:
  explicit Graph(GraphParts parts) : parts_(std::move(parts)) {}

  GraphParts parts_;
  std::vector<int> producer_;  // By value; -1 for none.
  std::vector<std::vector<int>> consumers_;
};

}  // namespace lathe

#endif  // LATHE_COMPRESSOR_GRAPH_H_

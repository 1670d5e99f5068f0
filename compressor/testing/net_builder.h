// Small canonical networks with random weights, for tests.
#ifndef LATHE_COMPRESSOR_TESTING_NET_BUILDER_H_
#define LATHE_COMPRESSOR_TESTING_NET_BUILDER_H_

#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <map>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "compressor/graph.h"
#include "compressor/tensor.h"
#include "gtest/gtest.h"

namespace lathe {

// Random numbers that are the same everywhere. Not thread-safe.
class TestRandom {
 public:
  explicit TestRandom(uint64_t seed) : generator_(seed) {}

  // Uniform in [-scale, scale].
  float Uniform(float scale) {
    const double unit = static_cast<double>(generator_() >> 11) * 0x1p-53;
    return scale * static_cast<float>(2 * unit - 1);
  }
  // Near a normal distribution: the sum of 12 uniform numbers.
  float Normal(float deviation) {
    float sum = 0;
    for (int i = 0; i < 12; ++i) sum += Uniform(0.5f);
    return deviation * sum;
  }
  int64_t Below(int64_t n) { return static_cast<int64_t>(generator_() % n); }
  Tensor NormalTensor(Shape shape, float deviation) {
    std::vector<float> values(ElementCount(shape));
    for (float& value : values) value = Normal(deviation);
    return Tensor::Of<float>(std::move(shape), values);
  }

 private:
  std::mt19937_64 generator_;
};

// Adds nodes one by one; every method returns the id of the new value. Node
// "x" makes the value "x_out". Not thread-safe.
class NetBuilder {
 public:
  explicit NetBuilder(uint64_t seed) : random_(seed) { parts_.name = "test"; }

  ValueId Input(Shape shape) {
    const ValueId id = AddValue(absl::StrCat("input", parts_.inputs.size()));
    parts_.values[id].shape = std::move(shape);
    parts_.inputs.push_back(id);
    return id;
  }
  ValueId Constant(Tensor tensor) {
    const ValueId id = AddValue(absl::StrCat("constant", parts_.values.size()));
    parts_.values[id].type = tensor.type();
    parts_.values[id].constant = std::move(tensor);
    return id;
  }
  ValueId Ints(const std::vector<int64_t>& values) {
    return Constant(
        Tensor::Of<int64_t>({static_cast<int64_t>(values.size())}, values));
  }
  ValueId Random(Shape shape, float deviation) {
    return Constant(random_.NormalTensor(std::move(shape), deviation));
  }

  // A node with any inputs and attributes.
  ValueId Op(const std::string& op_type, std::vector<ValueId> inputs,
             std::map<std::string, Attribute> attributes = {}) {
    Node node;
    node.name = absl::StrCat(op_type, parts_.nodes.size());
    node.op_type = op_type;
    node.inputs = std::move(inputs);
    node.attributes = std::move(attributes);
    const ValueId out = AddValue(absl::StrCat(node.name, "_out"));
    node.outputs = {out};
    parts_.nodes.push_back(std::move(node));
    return out;
  }

  // A node with `outputs` outputs.
  std::vector<ValueId> OpWithOutputs(
      const std::string& op_type, std::vector<ValueId> inputs, int outputs,
      std::map<std::string, Attribute> attributes = {}) {
    const ValueId first = Op(op_type, std::move(inputs), std::move(attributes));
    std::vector<ValueId> all = {first};
    for (int i = 1; i < outputs; ++i) {
      all.push_back(
          AddValue(absl::StrCat(parts_.nodes.back().name, "_out", i)));
    }
    parts_.nodes.back().outputs = all;
    return all;
  }

  // A "same" convolution with bias and random weights.
  ValueId Conv(ValueId in, int64_t ins, int64_t outs, int64_t kernel,
               int64_t stride = 1, int64_t groups = 1) {
    const int64_t group_ins = ins / groups;
    const float deviation =
        1.0f / std::sqrt(static_cast<float>(group_ins * kernel * kernel));
    const ValueId weights =
        Random({outs, group_ins, kernel, kernel}, deviation);
    const ValueId bias = Random({outs}, 0.1f);
    const int64_t pad = kernel / 2;
    return Op("Conv", {in, weights, bias},
              {{"kernel_shape", std::vector<int64_t>{kernel, kernel}},
               {"pads", std::vector<int64_t>{pad, pad, pad, pad}},
               {"strides", std::vector<int64_t>{stride, stride}},
               {"group", groups}});
  }
  ValueId Gemm(ValueId in, int64_t ins, int64_t outs, bool is_transposed) {
    const Shape shape = is_transposed ? Shape{outs, ins} : Shape{ins, outs};
    const ValueId weights =
        Random(shape, 1.0f / std::sqrt(static_cast<float>(ins)));
    const ValueId bias = Random({outs}, 0.1f);
    return Op("Gemm", {in, weights, bias},
              {{"transB", int64_t{is_transposed}}});
  }

  // Fuses a Relu, or the addition of `other`, into the last node.
  void Relu() { parts_.nodes.back().post_ops.push_back({}); }
  void AddInto(ValueId other) {
    Node& node = parts_.nodes.back();
    PostOp add;
    add.kind = PostOp::Kind::kAdd;
    add.input = static_cast<int>(node.inputs.size());
    node.inputs.push_back(other);
    node.post_ops.push_back(add);
  }

  Graph Build(std::vector<ValueId> outputs) {
    parts_.outputs = std::move(outputs);
    absl::StatusOr<Graph> graph = Graph::Create(parts_);
    // A test that builds a wrong graph ends here, with the reason.
    if (!graph.ok()) {
      ADD_FAILURE() << graph.status();
      std::abort();
    }
    return *std::move(graph);
  }
  TestRandom& random() { return random_; }

 private:
  ValueId AddValue(std::string name) {
    Value value;
    value.name = std::move(name);
    parts_.values.push_back(std::move(value));
    return static_cast<ValueId>(parts_.values.size()) - 1;
  }

  TestRandom random_;
  GraphParts parts_;
};

}  // namespace lathe

#endif  // LATHE_COMPRESSOR_TESTING_NET_BUILDER_H_

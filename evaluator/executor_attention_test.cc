// Attention against the reference operator.
#include <string>
#include <vector>

#include "evaluator/onednn_version.h"
#include "evaluator/testing/compare.h"
#include "evaluator/testing/graph_builder.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace lathe {
namespace {

// A random form: packed or not, queries that share keys, masks of any shape.
Graph MakeAttentionForm(int seed) {
  GraphBuilder b(seed);
  const auto has = [&] { return b.Between(0, 1) == 1; };
  const int64_t batch = b.Between(1, 3);
  const int64_t key_heads = b.Between(1, 3);
  const int64_t heads = key_heads * b.Between(1, 3);
  const int64_t queries = b.Between(1, 20);
  const int64_t keys = b.Between(1, 40);
  const int64_t width = b.Between(1, 24);
  const int64_t out_width = b.Between(1, 24);
  const bool is_packed = has();
  const auto value = [&](int64_t count, int64_t rows, int64_t size) {
    return b.Input(is_packed ? Shape{batch, rows, count * size}
                             : Shape{batch, count, rows, size});
  };
  NodeSpec spec{"Attention",
                {value(heads, queries, width), value(key_heads, keys, width),
                 value(key_heads, keys, out_width)}};
  if (is_packed) {
    spec.attributes = {{"q_num_heads", heads}, {"kv_num_heads", key_heads}};
  }
  if (has()) spec.attributes["is_causal"] = int64_t{1};
  if (has()) spec.attributes["scale"] = 0.3f;
  if (has()) {
    Shape mask = {batch, heads, queries, keys};
    for (int64_t& size : mask) size = b.Between(0, 2) == 0 ? 1 : size;
    mask.erase(mask.begin(), mask.begin() + b.Between(0, 3));
    ValueId numbers = b.Weights(mask, 1);
    if (has()) {
      // Bools. All see the first key: a query that sees none has no answer.
      std::vector<int64_t> first(keys, 0);
      first[0] = 100;
      const ValueId less =
          b.Add({"Cast", {b.Integers(first)}, {{"to", int64_t{1}}}});
      numbers =
          b.Add({"Less", {b.Add({"Sub", {numbers, less}}), b.Number(0.5f)}});
    }
    spec.inputs.push_back(numbers);
  }
  return b.Build({b.Add(spec)}, 23);
}

TEST(ExecutorAttention, IsProductsAndSoftmax) {
  for (int seed = 0; seed < 30; ++seed) {
    SCOPED_TRACE(seed);
    std::mt19937 random(seed);
    const Graph graph = MakeAttentionForm(seed);
    const Node& node = graph.nodes().back();
    const bool shares_strided_keys =
        node.IntOr("q_num_heads", 1) != node.IntOr("kv_num_heads", 1);
    if (shares_strided_keys && onednn::kMostStridedMatMulRank < 5) {
      ExpectSameInFloat(graph, RandomInputs(graph, random));
    } else {
      ExpectQuick(graph, "Attention", random);
    }
  }
}

// As exporters write it: heads side by side, transposed into a batch, and keys
// that several of them share.
TEST(ExecutorAttention, ProductsWithSharedFactorsFindTheirMatrices) {
  for (int seed = 0; seed < 20; ++seed) {
    SCOPED_TRACE(seed);
    GraphBuilder b(seed);
    const int64_t batch = b.Between(1, 3);
    const int64_t key_heads = b.Between(1, 3);
    const int64_t shared = b.Between(1, 3);
    const int64_t rows = b.Between(1, 9);
    const int64_t keys = b.Between(1, 9);
    const int64_t width = b.Between(1, 17);
    const auto heads = [&](int64_t count, int64_t of_each, int64_t length,
                           const std::vector<int64_t>& order) {
      const ValueId x = b.Input({batch, length, count * of_each * width});
      const ValueId split = b.Add(
          {"Reshape", {x, b.Integers({batch, length, count, of_each, width})}});
      return b.Add({"Transpose", {split}, {{"perm", order}}});
    };
    const ValueId queries = heads(key_heads, shared, rows, {0, 2, 3, 1, 4});
    const ValueId factor = heads(key_heads, 1, keys, {0, 2, 3, 4, 1});
    const Graph graph = b.Build({b.Add({"MatMul", {queries, factor}})}, 17);
    std::mt19937 random(seed);
    ExpectSameInFloat(graph, RandomInputs(graph, random));
  }
}

}  // namespace
}  // namespace lathe

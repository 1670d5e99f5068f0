// Runs of nodes that one kernel computes, although the graph has them apart:
// the bias behind a MatMul, the scaling of a product, the five nodes of a Gelu,
// the activation behind a layer.
#ifndef LATHE_EVALUATOR_NODE_GROUPS_H_
#define LATHE_EVALUATOR_NODE_GROUPS_H_

#include <map>
#include <set>
#include <string>
#include <vector>

#include "compressor/graph.h"
#include "evaluator/lowering_context.h"

namespace lathe {

// Attribute of a MatMul in a group: what the product is multiplied with.
inline constexpr char kProductScale[] = "lathe_product_scale";

struct NodeGroup {
  // Indices in the graph, ascending. All but the last have one output, which
  // has no grid and which only the next ones read.
  std::vector<int> members;
  // The member that the steps belong to.
  int owner = 0;
  // What computes the output of the last member. Beyond what ONNX says, a
  // MatMul may have a bias by column as inputs[2], and kProductScale; a layer
  // may have a fused activation (activations.h).
  Node node;
};

class NodeGroups {
 public:
  // `context` is only read.
  explicit NodeGroups(const LoweringContext& context);

  // The group that ends with node `index`; null if there is none.
  const NodeGroup* EndingAt(int index) const;
  // Whether node `index` is a member, but not the last one.
  bool IsInside(int index) const { return inside_.count(index) > 0; }

 private:
  void Add(NodeGroup group);

  std::map<int, NodeGroup> by_end_;
  std::set<int> inside_;
};

}  // namespace lathe

#endif  // LATHE_EVALUATOR_NODE_GROUPS_H_

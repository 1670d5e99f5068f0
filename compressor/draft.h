// A graph that is being rewritten. Private to the compressor.
#ifndef LATHE_COMPRESSOR_DRAFT_H_
#define LATHE_COMPRESSOR_DRAFT_H_

#include <optional>
#include <string>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "absl/status/statusor.h"
#include "compressor/graph.h"
#include "compressor/tensor.h"

namespace lathe {

// Nodes keep their index until Finish; removed ones stay in place, unread. Not
// thread-safe.
class Draft {
 public:
  explicit Draft(const Graph& graph);

  const GraphParts& parts() const { return parts_; }
  int NodeCount() const { return static_cast<int>(parts_.nodes.size()); }
  // Nodes may be changed in all but inputs and outputs.
  Node& node(int index) { return parts_.nodes[index]; }
  const Value& value(ValueId id) const { return parts_.values[id]; }
  bool IsRemoved(int index) const { return is_removed_[index]; }

  bool IsConstant(ValueId id) const {
    return id != kNoValue && value(id).constant.has_value();
  }
  bool IsOutput(ValueId id) const { return is_output_[id]; }
  // Index of the node that makes `id`, if one does.
  std::optional<int> Producer(ValueId id) const;
  // How often nodes read `id`.
  int UseCount(ValueId id) const {
    return static_cast<int>(readers_[id].size());
  }
  // The nodes that read `id`, as often as they do.
  const std::vector<int>& Readers(ValueId id) const { return readers_[id]; }
  // Whether one node reads `id`, once, and nobody else sees it: it is no graph
  // output and is not rounded to a grid.
  bool IsPrivate(ValueId id) const;
  // Whether node `a` runs before node `b`.
  bool RunsBefore(int a, int b) const { return position_[a] < position_[b]; }

  // A new value; the name gets a number when it is taken.
  ValueId AddValue(const std::string& name, DataType type);
  ValueId AddConstant(const std::string& name, Tensor tensor);
  // Makes a computed value a constant. Its producer no longer makes it.
  void MakeConstant(ValueId id, Tensor tensor);

  // Has `id` rounded to `grid` by what makes it.
  void SetGrid(ValueId id, const ActivationGrid& grid) {
    parts_.values[id].grid = grid;
  }

  // Adds a node that runs right before node `next`. The name gets a number when
  // it is taken. Returns its index.
  int InsertBefore(int next, Node node);
  void SetInputs(int index, std::vector<ValueId> inputs);
  void SetOutputs(int index, std::vector<ValueId> outputs);
  // All nodes and graph outputs that read `from` read `to`.
  void ReplaceUses(ValueId from, ValueId to);
  void Remove(int index);
  // Removes node `index`, which passes `in` on as its output 0, together with
  // that output; the name of a graph output survives. False when it cannot be:
  // the output is a graph output and `in` is not just a node's.
  bool Bypass(int index, ValueId in);
  void SetOpset(int64_t opset) { parts_.opset = opset; }

  // The graph without what no output needs.
  absl::StatusOr<Graph> Finish() &&;

 private:
  // Order of nodes: by the original node they stand at, then inserted ones
  // before it, then by insertion.
  struct Position {
    int original = 0;
    bool is_original = true;
    int inserted = 0;
    bool operator<(const Position& other) const;
  };

  std::vector<int> LiveNodesInOrder() const;

  GraphParts parts_;
  std::vector<bool> is_removed_;
  std::vector<Position> position_;
  std::vector<int> producer_;              // By value; -1 for none.
  std::vector<std::vector<int>> readers_;  // By value.
  std::vector<bool> is_output_;            // By value.
  absl::flat_hash_set<std::string> node_names_;
  absl::flat_hash_set<std::string> value_names_;
};

}  // namespace lathe

#endif  // LATHE_COMPRESSOR_DRAFT_H_

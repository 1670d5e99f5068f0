// The state of compiling a graph: the program so far, and where every value
// lies. The lower_*.h functions turn nodes into steps through it.
#ifndef LATHE_EVALUATOR_LOWERING_CONTEXT_H_
#define LATHE_EVALUATOR_LOWERING_CONTEXT_H_

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "compressor/graph.h"
#include "compressor/shape_inference.h"
#include "evaluator/executor.h"
#include "evaluator/program.h"
#include "evaluator/storage.h"

namespace lathe {

// Not thread-safe. `graph` and `infos` must outlive it.
class LoweringContext {
 public:
  LoweringContext(const Graph& graph, const std::vector<ValueInfo>& infos,
                  const ExecutorOptions& options);

  const ExecutorOptions& options() const { return options_; }

  // ----------------------------------------------------------- the graph
  const Graph& graph() const { return graph_; }
  const Node& node(int index) const { return graph_.nodes()[index]; }
  // The grid that `value` is rounded to: its own; or that of what it becomes,
  // where rounding it already changes nothing (a Concat whose output has a
  // grid can as well put together rounded parts).
  const std::optional<ActivationGrid>& grid(ValueId value) const {
    return grids_[value];
  }
  const Shape& shape(ValueId value) const { return infos_[value].shape; }
  DataType type(ValueId value) const { return infos_[value].type; }
  // Whether oneDNN's layouts are for `value`: float32, and not empty. Others
  // lie "raw".
  bool HasLayout(ValueId value) const {
    return type(value) == DataType::kFloat32 && ElementCount(shape(value)) > 0;
  }
  // The value if it is known at compile time.
  const Tensor* constant(ValueId value) const;
  // The node that steps are made for from now on.
  void BeginNode(int index) { BeginGroup(index, index, node(index)); }
  // The same for `group`, which stands for several nodes of which `last` is
  // the last one; steps belong to node `owner`. `group` must outlive its steps'
  // making.
  void BeginGroup(int last, int owner, const Node& group) {
    node_ = last;
    owner_ = owner;
    current_inputs_ = &group.inputs;
  }
  int current_node() const { return node_; }

  // ------------------------------------------------------ where values lie
  // Encoding that a producer which can write any should write: the value's
  // grid; else bfloat16 if a reader computes in bfloat16; else float32.
  Encoding WantedEncoding(ValueId value) const;
  // The encoding that the value lies in, rounded to its grid if it has one.
  absl::StatusOr<Encoding> StoredEncoding(ValueId value) const;
  // Encoding and layout that the value lies in already, rounded to its grid
  // (constants: float32, row-major).
  absl::StatusOr<Copy> Stored(ValueId value);
  // The value in this encoding and layout, by a reorder if need be.
  //
  // Errors: Unimplemented - the value is not of type float32.
  absl::StatusOr<Copy> Fetch(ValueId value, const Encoding& encoding,
                             const MemoryDesc& desc);
  // The value row-major, float32 or of its own type.
  absl::StatusOr<Copy> FetchPlain(ValueId value);
  // The value's numbers in memory that may be overwritten, in `encoding`
  // and `desc`: the value's own memory if nobody needs it after the current
  // node, else a new copy.
  absl::StatusOr<Copy> FetchForUpdate(ValueId value, const Encoding& encoding,
                                      const MemoryDesc& desc);
  // Says where the current node put `value`. If the encoding is not that of
  // the value's grid, it is rounded before anybody reads it.
  void Define(ValueId value, const Copy& copy);
  // Takes back what Define said, for another try at the current node.
  void Undefine(ValueId value) { values_[value] = ValueState(); }
  // Makes `value` share the memory of `copy`, under another shape.
  void DefineAlias(ValueId value, const Copy& copy) { Define(value, copy); }

  // A value that is computed only when its single reader asks, or never: both
  // are one step (a Slice before a Pad, the nodes of a group).
  void Defer(ValueId value) { deferred_.insert(value); }
  void Undefer(ValueId value) { deferred_.erase(value); }
  bool IsDeferred(ValueId value) const { return deferred_.count(value) > 0; }

  // --------------------------------------------------------------- memory
  // A new buffer.
  Copy NewCopy(const Encoding& encoding, const MemoryDesc& desc);
  Copy NewRawCopy(ValueId value);
  Location NewBuffer(int64_t bytes, bool is_persistent);
  Location NewConstant(const void* bytes, int64_t size);
  // Constant numbers `source` as `destination` lies.
  absl::StatusOr<Location> NewReorderedConstant(const void* values,
                                                const MemoryDesc& source,
                                                const MemoryDesc& destination);
  // Makes the buffer of `part` a part of `whole`. False, and nothing is done,
  // if that buffer is not the part's alone.
  bool TryPlaceInside(const Copy& part, const Copy& whole, int64_t offset);

  // ---------------------------------------------------------------- steps
  // `operands` without scratchpad and the kernel's own constants.
  absl::Status AddKernel(absl::string_view kind, const Kernel& kernel,
                         std::vector<Operand> operands,
                         bool is_reorder = false);
  void AddLoop(absl::string_view kind, absl::string_view implementation,
               std::vector<Operand> operands, Loop loop,
               bool is_reorder = false);
  // from -> to, whose encodings and layouts may differ.
  absl::Status AddReorder(const Copy& from, const Copy& to);

  // Ends the program: graph outputs are copied to memory of their own.
  absl::StatusOr<Program> Finish();

 private:
  struct ValueState {
    // Equal numbers, rounded to the value's grid if there is one.
    std::vector<Copy> copies;
    // Before rounding.
    std::optional<Copy> unrounded;
  };

  // As a loop where that is faster than oneDNN; false: it is not.
  bool TryAddLevelsLoop(const Copy& from, const Copy& to);
  // from -> to, where one has a zero point.
  absl::Status AddConversion(const Copy& from, const Copy& to);
  absl::StatusOr<Copy> FetchConstant(ValueId value, const Encoding& encoding,
                                     const MemoryDesc& desc);
  absl::Status EnsureRounded(ValueId value);
  // The copy to make one in `encoding` from.
  absl::StatusOr<Copy> SourceFor(ValueId value, const Encoding& encoding);
  const Copy* Find(ValueId value, const Encoding& encoding,
                   const MemoryDesc& desc) const;
  bool IsFreeAfterCurrentNode(ValueId value, const Copy& copy) const;
  bool WantsBfloat16(ValueId value) const;
  // Index of the last node whose step reads `value`; -1 for none.
  int LastReader(ValueId value) const;
  std::optional<ActivationGrid> ImpliedGrid(ValueId value) const;
  void Remember(ValueId value, const Copy& copy);
  void DefineInputs();
  absl::Status MakeOutput(ValueId value, Location* location);

  const Graph& graph_;
  const std::vector<ValueInfo>& infos_;
  const ExecutorOptions options_;
  int node_ = 0;
  int owner_ = 0;
  const std::vector<ValueId>* current_inputs_ = nullptr;
  Program program_;
  std::vector<std::optional<ActivationGrid>> grids_;  // By value.
  std::vector<ValueState> values_;
  std::set<ValueId> deferred_;
  // Values that lie in a buffer, by root buffer.
  std::map<int, std::set<ValueId>> tenants_;
};

// Operands of kernels.
inline Operand Reads(int argument, const Copy& copy, const MemoryDesc& desc) {
  return {copy.location, /*is_written=*/false, argument, desc};
}
inline Operand Reads(int argument, const Location& location,
                     const MemoryDesc& desc) {
  return {location, /*is_written=*/false, argument, desc};
}
inline Operand Writes(int argument, const Copy& copy, const MemoryDesc& desc) {
  return {copy.location, /*is_written=*/true, argument, desc};
}
// Operands of loops.
inline Operand Reads(const Copy& copy) {
  return {copy.location, /*is_written=*/false};
}
inline Operand Writes(const Copy& copy) {
  return {copy.location, /*is_written=*/true};
}

}  // namespace lathe

#endif  // LATHE_EVALUATOR_LOWERING_CONTEXT_H_

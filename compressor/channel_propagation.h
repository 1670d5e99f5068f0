// The rules by which channel symbols travel through operators; the first half
// of FindChannelGroups (channel_groups.h).
#ifndef LATHE_COMPRESSOR_CHANNEL_PROPAGATION_H_
#define LATHE_COMPRESSOR_CHANNEL_PROPAGATION_H_

#include <cstdint>
#include <optional>
#include <vector>

#include "absl/types/span.h"
#include "compressor/channel_groups.h"
#include "compressor/graph.h"
#include "compressor/shape_inference.h"

namespace lathe {

// Symbols that are made, united and pinned. Not thread-safe.
class SymbolTable {
 public:
  int Make(bool is_pinned);
  // What stands for `symbol` and all that it was united with.
  int Find(int symbol);
  void Unite(int a, int b);
  void Pin(int symbol) { is_pinned_[Find(symbol)] = true; }
  bool IsPinned(int symbol) { return is_pinned_[Find(symbol)]; }
  int size() const { return static_cast<int>(parent_.size()); }

 private:
  std::vector<int> parent_;
  std::vector<bool> is_pinned_;  // Of those that stand for themselves.
};

// The symbols of a value along its channel axis.
struct ChannelView {
  int axis = 1;
  std::vector<int> symbols;
};

// What the pass over the nodes finds. Symbols in `layers` and `rewrites` are
// not yet resolved (SymbolTable::Find). Not thread-safe.
class ChannelPropagation {
 public:
  // `graph` and `infos` (InferShapes) must outlive this.
  ChannelPropagation(const Graph& graph, absl::Span<const ValueInfo> infos);

  // Visits all nodes. Called once.
  void Run();

  SymbolTable& symbols() { return symbols_; }
  std::vector<LayerChannels>& layers() { return layers_; }
  std::vector<ChannelRewrite>& rewrites() { return rewrites_; }

 private:
  using View = std::optional<ChannelView>;

  // The view of outputs[0] of a node, before its post-ops.
  View VisitOperator(int node);
  View VisitConv(int node);
  View VisitDepthwise(int node);
  View VisitGroupedConv(int node);
  View VisitGemm(int node);
  View VisitMatMul(int node);
  // A product of two computed tensors, as in attention.
  View VisitProduct(int node);
  View VisitBroadcast(int node);
  View VisitNormalization(int node);
  View VisitPool(int node);
  View VisitConcat(int node);
  View VisitPad(int node);
  View VisitReshape(int node);
  // A Reshape that makes several axes of the channels'.
  View VisitAxisSplit(int node);
  View VisitGather(int node);
  View VisitTranspose(int node);
  View VisitSlice(int node);
  View VisitReduce(int node);
  View VisitResize(int node);
  View VisitSoftmax(int node);
  View VisitLayerNormalization(int node);
  View VisitShape(int node);
  // The operator is not understood: pins what it reads.
  View Refuse(int node);

  // Operators with several outputs set the views of all.
  void VisitOutputs(int node);
  void VisitSplit(int node);
  // LSTM and GRU.
  void VisitRecurrent(int node);
  // Whether the W, R, B and P of a recurrent node can be cut.
  bool IsRecurrentCuttable(int node) const;
  // inputs[input] is [directions, batch, hidden], as the initial states are.
  void JoinState(int node, int input, const std::vector<int>& hidden);
  // Slice along the channels.
  View SliceChannels(int node, const ChannelView& in, size_t at);
  // Whether node `reshape`, a transpose and another reshape shuffle channels.
  bool IsShuffle(int reshape) const;
  // Has `target` lie at dimension `axis` of a Reshape's output: false where the
  // target shape cannot be rewritten.
  bool SetTarget(int node, int axis, int in_axis,
                 const std::vector<int>& target);
  void UnitePeriodically(std::vector<int>* symbols, int64_t period);

  // Lets inputs[input], which is broadcast against `out`, share its symbols.
  void Join(const ChannelView& out, int out_rank, int node, int input);
  // Adds a layer. `in` are the symbols of its input channels.
  void AddLayer(int node, const char* kind, int weight_axis,
                const ChannelView& out, std::vector<int> in);
  void CutConstant(int node, int input, int axis, std::vector<int> symbols);
  std::vector<int> MakeSymbols(int64_t count, bool is_pinned);
  void Pin(const View& view);
  // Whether `id` is a float32 constant, as weights have to be.
  bool IsWeights(ValueId id) const;
  // The symbols of inputs[0] if they lie along `axis`; else nothing, and they
  // are pinned.
  std::vector<int> InputSymbols(int node, int axis);

  const Node& node(int index) const { return graph_.nodes()[index]; }
  ValueId Input(int node, int input) const;
  const View& ViewOf(ValueId id) const { return views_[id]; }
  const Shape& ShapeOf(ValueId id) const { return infos_[id].shape; }
  int Rank(ValueId id) const { return static_cast<int>(ShapeOf(id).size()); }
  // The integers of a constant input, or of the attribute `key`.
  std::optional<std::vector<int64_t>> Integers(int node, int input,
                                               const char* key) const;

  const Graph& graph_;
  const absl::Span<const ValueInfo> infos_;
  SymbolTable symbols_;
  std::vector<View> views_;  // By value.
  std::vector<LayerChannels> layers_;
  std::vector<ChannelRewrite> rewrites_;
};

}  // namespace lathe

#endif  // LATHE_COMPRESSOR_CHANNEL_PROPAGATION_H_

// Rules for operators with several outputs: Split, LSTM and GRU.
#include <string>
#include <utility>

#include "compressor/channel_propagation.h"

namespace lathe {
namespace {

std::vector<int> Repeated(const std::vector<int>& symbols, int64_t times) {
  std::vector<int> repeated;
  for (int64_t i = 0; i < times; ++i) {
    repeated.insert(repeated.end(), symbols.begin(), symbols.end());
  }
  return repeated;
}

// Inputs of a recurrent node.
constexpr int kW = 1;
constexpr int kR = 2;
constexpr int kB = 3;
constexpr int kInitialH = 5;
constexpr int kInitialC = 6;
constexpr int kPeepholes = 7;

}  // namespace

void ChannelPropagation::VisitOutputs(int index) {
  const Node& own = node(index);
  if (own.domain.empty() && own.post_ops.empty()) {
    if (own.op_type == "Split") return VisitSplit(index);
    if (own.op_type == "LSTM" || own.op_type == "GRU") {
      return VisitRecurrent(index);
    }
  }
  Refuse(index);
}

void ChannelPropagation::VisitSplit(int index) {
  const View& in = ViewOf(Input(index, 0));
  if (!in) return;
  int64_t axis = node(index).IntOr("axis", 0);
  if (axis < 0) axis += Rank(Input(index, 0));
  const bool is_along = axis == in->axis;
  const ValueId sizes = Input(index, 1);
  if (is_along && sizes != kNoValue && !graph_.IsConstant(sizes)) {
    Refuse(index);
    return;
  }
  ChannelRewrite rewrite;
  rewrite.kind = ChannelRewrite::Kind::kSplit;
  rewrite.node = index;
  rewrite.input = 1;
  rewrite.axis = in->axis;
  rewrite.symbols = in->symbols;
  auto next = in->symbols.begin();
  for (const ValueId out : node(index).outputs) {
    // A part that nobody reads still has a name.
    if (out == kNoValue) {
      Refuse(index);
      return;
    }
    ChannelView view = *in;
    if (is_along) {
      const int64_t size = ShapeOf(out)[axis];
      view.symbols = {next, next + size};
      next += size;
      rewrite.sizes.push_back(size);
    }
    views_[out] = std::move(view);
  }
  if (is_along) rewrites_.push_back(std::move(rewrite));
}

bool ChannelPropagation::IsRecurrentCuttable(int index) const {
  for (const int input : {kW, kR}) {
    if (!IsWeights(Input(index, input))) return false;
  }
  for (const int input : {kB, kPeepholes}) {
    const ValueId id = Input(index, input);
    if (id != kNoValue && !graph_.IsConstant(id)) return false;
  }
  return ShapeOf(Input(index, kR)).size() == 3 &&
         ShapeOf(Input(index, kW)).size() == 3;
}

void ChannelPropagation::JoinState(int index, int input,
                                   const std::vector<int>& hidden) {
  const ValueId id = Input(index, input);
  if (id == kNoValue) return;
  const ChannelView state{2, hidden};
  Join(state, /*out_rank=*/3, index, input);
}

void ChannelPropagation::VisitRecurrent(int index) {
  if (!IsRecurrentCuttable(index)) {
    Refuse(index);
    return;
  }
  const Shape& r = ShapeOf(Input(index, kR));
  const int64_t units = r[2];
  const int64_t gates = r[1] / units;
  const std::vector<int> hidden = MakeSymbols(units, false);
  const std::vector<int> of_gates = Repeated(hidden, gates);
  std::vector<int> in = InputSymbols(index, 2);
  CutConstant(index, kW, /*axis=*/1, of_gates);
  CutConstant(index, kW, /*axis=*/2, in);
  CutConstant(index, kR, /*axis=*/1, of_gates);
  CutConstant(index, kR, /*axis=*/2, hidden);
  CutConstant(index, kB, /*axis=*/1, Repeated(hidden, 2 * gates));
  CutConstant(index, kPeepholes, /*axis=*/1, Repeated(hidden, 3));
  JoinState(index, kInitialH, hidden);
  JoinState(index, kInitialC, hidden);
  ChannelRewrite rewrite;
  rewrite.kind = ChannelRewrite::Kind::kHiddenSize;
  rewrite.node = index;
  rewrite.symbols = hidden;
  rewrites_.push_back(std::move(rewrite));
  // Y is [steps, directions, batch, hidden], or [batch, steps, directions,
  // hidden]; Y_h and Y_c have no steps.
  const std::vector<ValueId>& outputs = node(index).outputs;
  for (size_t o = 0; o < outputs.size(); ++o) {
    if (outputs[o] == kNoValue) continue;
    views_[outputs[o]] = ChannelView{o == 0 ? 3 : 2, hidden};
  }
  AddLayer(index, node(index).op_type == "LSTM" ? "lstm" : "gru",
           /*weight_axis=*/1, ChannelView{3, hidden}, std::move(in));
}

}  // namespace lathe

#include "compressor/channel_propagation.h"

#include <algorithm>
#include <map>
#include <string>
#include <utility>

namespace lathe {
namespace {

std::vector<int> Repeat(const std::vector<int>& symbols, int64_t times) {
  std::vector<int> repeated;
  for (const int symbol : symbols) {
    repeated.insert(repeated.end(), times, symbol);
  }
  return repeated;
}

}  // namespace

int SymbolTable::Make(bool is_pinned) {
  parent_.push_back(size());
  is_pinned_.push_back(is_pinned);
  return size() - 1;
}

int SymbolTable::Find(int symbol) {
  while (parent_[symbol] != symbol) {
    parent_[symbol] = parent_[parent_[symbol]];
    symbol = parent_[symbol];
  }
  return symbol;
}

void SymbolTable::Unite(int a, int b) {
  a = Find(a);
  b = Find(b);
  // The older one stands for both, so that numbers do not depend on order.
  if (a > b) std::swap(a, b);
  if (is_pinned_[b]) is_pinned_[a] = true;
  parent_[b] = a;
}

ChannelPropagation::ChannelPropagation(const Graph& graph,
                                       absl::Span<const ValueInfo> infos)
    : graph_(graph), infos_(infos), views_(graph.values().size()) {}

void ChannelPropagation::Run() {
  for (const ValueId id : graph_.inputs()) {
    if (Rank(id) < 2) continue;
    views_[id] = ChannelView{1, MakeSymbols(ShapeOf(id)[1], true)};
  }
  for (int i = 0; i < static_cast<int>(graph_.nodes().size()); ++i) {
    const std::string& op = node(i).op_type;
    if (node(i).outputs.size() != 1 || op == "Split" || op == "LSTM" ||
        op == "GRU") {
      VisitOutputs(i);
      continue;
    }
    View view = VisitOperator(i);
    const ValueId out = node(i).outputs[0];
    if (view && (view->axis >= Rank(out) ||
                 ShapeOf(out)[view->axis] !=
                     static_cast<int64_t>(view->symbols.size()))) {
      Pin(view);
      view.reset();
    }
    for (const PostOp& op : node(i).post_ops) {
      if (op.kind != PostOp::Kind::kAdd) continue;
      if (view) {
        Join(*view, Rank(out), i, op.input);
      } else {
        Pin(ViewOf(Input(i, op.input)));
      }
    }
    views_[out] = std::move(view);
  }
  for (const ValueId id : graph_.outputs()) Pin(views_[id]);
}

ChannelPropagation::View ChannelPropagation::VisitOperator(int index) {
  using Rule = View (ChannelPropagation::*)(int);
  using P = ChannelPropagation;
  // In alphabetical order; what is missing is refused.
  static const auto* const rules = new std::map<std::string, Rule>{
      {"Abs", &P::VisitBroadcast},
      {"Add", &P::VisitBroadcast},
      {"AveragePool", &P::VisitPool},
      {"BatchNormalization", &P::VisitNormalization},
      {"Cast", &P::VisitBroadcast},
      {"Ceil", &P::VisitBroadcast},
      {"Clip", &P::VisitBroadcast},
      {"Concat", &P::VisitConcat},
      {"Conv", &P::VisitConv},
      {"Div", &P::VisitBroadcast},
      {"Elu", &P::VisitBroadcast},
      {"Erf", &P::VisitBroadcast},
      {"Exp", &P::VisitBroadcast},
      {"Flatten", &P::VisitReshape},
      {"Floor", &P::VisitBroadcast},
      {"Gelu", &P::VisitBroadcast},
      {"Gather", &P::VisitGather},
      {"Gemm", &P::VisitGemm},
      {"GlobalAveragePool", &P::VisitPool},
      {"GlobalMaxPool", &P::VisitPool},
      {"HardSigmoid", &P::VisitBroadcast},
      {"HardSwish", &P::VisitBroadcast},
      {"Identity", &P::VisitBroadcast},
      {"InstanceNormalization", &P::VisitNormalization},
      {"LayerNormalization", &P::VisitLayerNormalization},
      {"LeakyRelu", &P::VisitBroadcast},
      {"Log", &P::VisitBroadcast},
      {"LogSoftmax", &P::VisitSoftmax},
      {"LpPool", &P::VisitPool},
      {"MatMul", &P::VisitMatMul},
      {"Max", &P::VisitBroadcast},
      {"MaxPool", &P::VisitPool},
      {"Mean", &P::VisitBroadcast},
      {"Min", &P::VisitBroadcast},
      {"Mul", &P::VisitBroadcast},
      {"Neg", &P::VisitBroadcast},
      {"PRelu", &P::VisitBroadcast},
      {"Pad", &P::VisitPad},
      {"Pow", &P::VisitBroadcast},
      {"Reciprocal", &P::VisitBroadcast},
      {"ReduceMax", &P::VisitReduce},
      {"ReduceMean", &P::VisitReduce},
      {"ReduceMin", &P::VisitReduce},
      {"ReduceSum", &P::VisitReduce},
      {"Relu", &P::VisitBroadcast},
      {"Reshape", &P::VisitReshape},
      {"Resize", &P::VisitResize},
      {"Selu", &P::VisitBroadcast},
      {"Shape", &P::VisitShape},
      {"Sigmoid", &P::VisitBroadcast},
      {"Slice", &P::VisitSlice},
      {"Softmax", &P::VisitSoftmax},
      {"Softplus", &P::VisitBroadcast},
      {"Sqrt", &P::VisitBroadcast},
      {"Squeeze", &P::VisitReshape},
      {"Sub", &P::VisitBroadcast},
      {"Sum", &P::VisitBroadcast},
      {"Tanh", &P::VisitBroadcast},
      {"Transpose", &P::VisitTranspose},
      {"Unsqueeze", &P::VisitReshape},
      {"Where", &P::VisitBroadcast},
  };
  const auto rule = rules->find(node(index).op_type);
  if (!node(index).domain.empty() || rule == rules->end()) {
    return Refuse(index);
  }
  return (this->*rule->second)(index);
}

ChannelPropagation::View ChannelPropagation::Refuse(int index) {
  for (const ValueId id : node(index).inputs) {
    if (id != kNoValue) Pin(ViewOf(id));
  }
  return std::nullopt;
}

ChannelPropagation::View ChannelPropagation::VisitConv(int index) {
  const ValueId weights = Input(index, 1);
  const ValueId bias = Input(index, 2);
  const bool is_bias_movable = bias == kNoValue || graph_.IsConstant(bias);
  if (!IsWeights(weights) || !is_bias_movable) return Refuse(index);
  const Shape& shape = ShapeOf(weights);
  const int64_t groups = node(index).IntOr("group", 1);
  if (groups > 1 && shape[1] == 1 && shape[0] % groups == 0) {
    return VisitDepthwise(index);
  }
  if (groups > 1) return VisitGroupedConv(index);
  ChannelView out{1, MakeSymbols(shape[0], false)};
  std::vector<int> in = InputSymbols(index, 1);
  CutConstant(index, 1, /*axis=*/0, out.symbols);
  CutConstant(index, 1, /*axis=*/1, in);
  CutConstant(index, 2, /*axis=*/0, out.symbols);
  AddLayer(index, "conv", /*weight_axis=*/0, out, std::move(in));
  return out;
}

ChannelPropagation::View ChannelPropagation::VisitGroupedConv(int index) {
  const Shape& shape = ShapeOf(Input(index, 1));
  const int64_t groups = node(index).IntOr("group", 1);
  if (shape[0] % groups != 0) return Refuse(index);
  ChannelView out{1, MakeSymbols(shape[0], false)};
  UnitePeriodically(&out.symbols, shape[0] / groups);
  std::vector<int> in = InputSymbols(index, 1);
  if (!in.empty()) UnitePeriodically(&in, shape[1]);
  CutConstant(index, 1, /*axis=*/0, out.symbols);
  CutConstant(index, 1, /*axis=*/1,
              {in.begin(), in.empty() ? in.end() : in.begin() + shape[1]});
  CutConstant(index, 2, /*axis=*/0, out.symbols);
  AddLayer(index, "grouped_conv", /*weight_axis=*/0, out, std::move(in));
  return out;
}

void ChannelPropagation::UnitePeriodically(std::vector<int>* symbols,
                                           int64_t period) {
  for (size_t i = period; i < symbols->size(); ++i) {
    symbols_.Unite((*symbols)[i], (*symbols)[i - period]);
    (*symbols)[i] = (*symbols)[i - period];
  }
}

ChannelPropagation::View ChannelPropagation::VisitDepthwise(int index) {
  const int64_t channels = node(index).IntOr("group", 1);
  const int64_t outputs = ShapeOf(Input(index, 1))[0];
  std::vector<int> in = InputSymbols(index, 1);
  if (in.empty()) in = MakeSymbols(channels, /*is_pinned=*/true);
  ChannelView out{1, Repeat(in, outputs / channels)};
  CutConstant(index, 1, /*axis=*/0, out.symbols);
  CutConstant(index, 2, /*axis=*/0, out.symbols);
  ChannelRewrite rewrite;
  rewrite.kind = ChannelRewrite::Kind::kConvGroups;
  rewrite.node = index;
  rewrite.symbols = in;
  rewrites_.push_back(std::move(rewrite));
  AddLayer(index, "depthwise_conv", /*weight_axis=*/0, out, std::move(in));
  return out;
}

ChannelPropagation::View ChannelPropagation::VisitGemm(int index) {
  const ValueId weights = Input(index, 1);
  if (!IsWeights(weights) || graph_.IsConstant(Input(index, 0)) ||
      node(index).IntOr("transA", 0) != 0) {
    return Refuse(index);
  }
  const int out_axis = node(index).IntOr("transB", 0) != 0 ? 0 : 1;
  ChannelView out{1, MakeSymbols(ShapeOf(weights)[out_axis], false)};
  std::vector<int> in = InputSymbols(index, 1);
  CutConstant(index, 1, out_axis, out.symbols);
  CutConstant(index, 1, 1 - out_axis, in);
  if (Input(index, 2) != kNoValue) Join(out, /*out_rank=*/2, index, 2);
  AddLayer(index, "linear", out_axis, out, std::move(in));
  return out;
}

ChannelPropagation::View ChannelPropagation::VisitMatMul(int index) {
  const ValueId weights = Input(index, 1);
  const int rank = Rank(node(index).outputs[0]);
  if (!graph_.IsConstant(weights)) return VisitProduct(index);
  if (!IsWeights(weights) || graph_.IsConstant(Input(index, 0)) ||
      Rank(weights) != 2 || Rank(Input(index, 0)) != rank) {
    return Refuse(index);
  }
  ChannelView out{rank - 1, MakeSymbols(ShapeOf(weights)[1], false)};
  std::vector<int> in = InputSymbols(index, rank - 1);
  CutConstant(index, 1, /*axis=*/1, out.symbols);
  CutConstant(index, 1, /*axis=*/0, in);
  AddLayer(index, "matmul", /*weight_axis=*/1, out, std::move(in));
  return out;
}

ChannelPropagation::View ChannelPropagation::VisitBroadcast(int index) {
  const int inputs = node(index).OperatorInputs();
  const Shape& out_shape = ShapeOf(node(index).outputs[0]);
  const int rank = static_cast<int>(out_shape.size());
  View out;
  for (int i = 0; i < inputs && !out; ++i) {
    const ValueId id = Input(index, i);
    if (id == kNoValue || !ViewOf(id)) continue;
    const int axis = ViewOf(id)->axis + rank - Rank(id);
    if (out_shape[axis] == static_cast<int64_t>(ViewOf(id)->symbols.size())) {
      out = ChannelView{axis, ViewOf(id)->symbols};
    }
  }
  if (!out) return Refuse(index);
  for (int i = 0; i < inputs; ++i) {
    if (Input(index, i) != kNoValue) Join(*out, rank, index, i);
  }
  return out;
}

void ChannelPropagation::Join(const ChannelView& out, int out_rank, int index,
                              int input) {
  const ValueId id = Input(index, input);
  const int axis = out.axis - (out_rank - Rank(id));
  const int64_t dim = axis < 0 ? 1 : ShapeOf(id)[axis];
  if (graph_.IsConstant(id)) {
    if (dim > 1) CutConstant(index, input, axis, out.symbols);
    return;
  }
  const View& view = ViewOf(id);
  if (view && view->axis == axis &&
      view->symbols.size() == out.symbols.size()) {
    for (size_t i = 0; i < out.symbols.size(); ++i) {
      symbols_.Unite(out.symbols[i], view->symbols[i]);
    }
    return;
  }
  Pin(view);
  // One number for all channels ties none of them.
  if (dim > 1) Pin(out);
}

void ChannelPropagation::AddLayer(int index, const char* kind, int weight_axis,
                                  const ChannelView& out, std::vector<int> in) {
  LayerChannels layer;
  layer.node = index;
  layer.kind = kind;
  layer.weight_axis = weight_axis;
  layer.output_axis = out.axis;
  layer.out_symbols = out.symbols;
  layer.in_symbols = std::move(in);
  layers_.push_back(std::move(layer));
}

void ChannelPropagation::CutConstant(int index, int input, int axis,
                                     std::vector<int> symbols) {
  if (Input(index, input) == kNoValue || symbols.empty()) return;
  ChannelRewrite rewrite;
  rewrite.node = index;
  rewrite.input = input;
  rewrite.axis = axis;
  rewrite.symbols = std::move(symbols);
  rewrites_.push_back(std::move(rewrite));
}

std::vector<int> ChannelPropagation::MakeSymbols(int64_t count,
                                                 bool is_pinned) {
  std::vector<int> made(count);
  for (int& symbol : made) symbol = symbols_.Make(is_pinned);
  return made;
}

void ChannelPropagation::Pin(const View& view) {
  if (!view) return;
  for (const int symbol : view->symbols) symbols_.Pin(symbol);
}

std::vector<int> ChannelPropagation::InputSymbols(int index, int axis) {
  const View& view = ViewOf(Input(index, 0));
  if (view && view->axis == axis) return view->symbols;
  Pin(view);
  return {};
}

bool ChannelPropagation::IsWeights(ValueId id) const {
  return graph_.IsConstant(id) &&
         graph_.value(id).constant->type() == DataType::kFloat32;
}

ValueId ChannelPropagation::Input(int index, int input) const {
  const std::vector<ValueId>& inputs = node(index).inputs;
  return input < static_cast<int>(inputs.size()) ? inputs[input] : kNoValue;
}

}  // namespace lathe

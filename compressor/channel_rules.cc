// Rules for operators that move, join or reduce channels without weights.
#include <algorithm>
#include <string>
#include <utility>

#include "compressor/channel_propagation.h"

namespace lathe {
namespace {

// Where one axis goes in a reshape: every symbol `inner` times in a row, and
// all of that `outer` times.
struct MovedAxis {
  int axis = 0;
  int64_t outer = 1;
  int64_t inner = 1;
};

// Indices of the dimensions that are not 1.
std::vector<int> WideAxes(const Shape& shape) {
  std::vector<int> axes;
  for (int i = 0; i < static_cast<int>(shape.size()); ++i) {
    if (shape[i] != 1) axes.push_back(i);
  }
  return axes;
}

// A run of wide axes of the input, and the run of the output that holds the
// same elements; both as short as they can be.
struct Segment {
  std::vector<int> in;
  std::vector<int> out;
};

std::vector<Segment> MatchSegments(const Shape& in, const Shape& out) {
  const std::vector<int> wide_in = WideAxes(in);
  const std::vector<int> wide_out = WideAxes(out);
  std::vector<Segment> segments;
  size_t i = 0;
  size_t j = 0;
  while (i < wide_in.size() && j < wide_out.size()) {
    Segment segment;
    int64_t in_size = 1;
    int64_t out_size = 1;
    do {
      if (in_size <= out_size && i < wide_in.size()) {
        in_size *= in[wide_in[i]];
        segment.in.push_back(wide_in[i++]);
      } else if (j < wide_out.size()) {
        out_size *= out[wide_out[j]];
        segment.out.push_back(wide_out[j++]);
      } else {
        return {};
      }
    } while (in_size != out_size);
    segments.push_back(std::move(segment));
  }
  return segments;
}

std::optional<MovedAxis> MoveAxis(const Shape& in, const Shape& out, int axis) {
  for (const Segment& segment : MatchSegments(in, out)) {
    const auto at = std::find(segment.in.begin(), segment.in.end(), axis);
    if (at == segment.in.end()) continue;
    const bool has_batch = segment.in[0] == 0;
    if (segment.out.size() != 1 || has_batch) return std::nullopt;
    MovedAxis moved;
    moved.axis = segment.out[0];
    for (auto it = segment.in.begin(); it != at; ++it) moved.outer *= in[*it];
    for (auto it = at + 1; it != segment.in.end(); ++it) moved.inner *= in[*it];
    return moved;
  }
  return std::nullopt;
}

bool Contains(const std::vector<int64_t>& axes, int axis, int rank) {
  return std::any_of(axes.begin(), axes.end(), [axis, rank](int64_t a) {
    return (a < 0 ? a + rank : a) == axis;
  });
}

}  // namespace

std::optional<std::vector<int64_t>> ChannelPropagation::Integers(
    int index, int input, const char* key) const {
  const auto attribute = node(index).attributes.find(key);
  if (attribute != node(index).attributes.end()) {
    return node(index).IntsOr(key, {});
  }
  const ValueId id = Input(index, input);
  if (id == kNoValue || !infos_[id].constant ||
      infos_[id].constant->type() != DataType::kInt64) {
    return std::nullopt;
  }
  const absl::Span<const int64_t> values =
      infos_[id].constant->values<int64_t>();
  return std::vector<int64_t>(values.begin(), values.end());
}

ChannelPropagation::View ChannelPropagation::VisitNormalization(int index) {
  const std::vector<int> symbols = InputSymbols(index, 1);
  const int inputs = node(index).OperatorInputs();
  for (int i = 1; i < inputs; ++i) {
    if (!graph_.IsConstant(Input(index, i))) return Refuse(index);
  }
  if (symbols.empty()) return Refuse(index);
  for (int i = 1; i < inputs; ++i) CutConstant(index, i, /*axis=*/0, symbols);
  return ChannelView{1, symbols};
}

ChannelPropagation::View ChannelPropagation::VisitPool(int index) {
  std::vector<int> symbols = InputSymbols(index, 1);
  if (symbols.empty()) return std::nullopt;
  return ChannelView{1, std::move(symbols)};
}

ChannelPropagation::View ChannelPropagation::VisitConcat(int index) {
  const int inputs = node(index).OperatorInputs();
  const ValueId out_id = node(index).outputs[0];
  int64_t axis = node(index).IntOr("axis", 1);
  if (axis < 0) axis += Rank(out_id);
  ChannelView along{static_cast<int>(axis), {}};
  View across;
  for (int i = 0; i < inputs; ++i) {
    const ValueId id = Input(index, i);
    const View& view = ViewOf(id);
    if (view && view->axis == axis) {
      along.symbols.insert(along.symbols.end(), view->symbols.begin(),
                           view->symbols.end());
      continue;
    }
    if (view && !across) across = view;
    const std::vector<int> fixed = MakeSymbols(ShapeOf(id)[axis], true);
    along.symbols.insert(along.symbols.end(), fixed.begin(), fixed.end());
  }
  if (!across) return along;
  // Channels lie across the joined axis: then they must in every input.
  for (int i = 0; i < inputs; ++i) {
    const View& view = ViewOf(Input(index, i));
    if (!view || view->axis != across->axis) return Refuse(index);
  }
  for (int i = 0; i < inputs; ++i) Join(*across, Rank(out_id), index, i);
  return across;
}

ChannelPropagation::View ChannelPropagation::VisitPad(int index) {
  const View& in = ViewOf(Input(index, 0));
  const std::optional<std::vector<int64_t>> pads = Integers(index, 1, "pads");
  const int rank = Rank(Input(index, 0));
  const bool is_rewritable =
      node(index).attributes.count("pads") > 0 ||
      (Input(index, 1) != kNoValue && graph_.IsConstant(Input(index, 1)));
  if (!in || !pads || static_cast<int>(pads->size()) != 2 * rank ||
      Input(index, 3) != kNoValue || !is_rewritable) {
    return Refuse(index);
  }
  const int64_t before = (*pads)[in->axis];
  const int64_t after = (*pads)[in->axis + rank];
  if (before == 0 && after == 0) return in;
  if (before < 0 || after < 0 ||
      node(index).StringOr("mode", "constant") != "constant") {
    return Refuse(index);
  }
  ChannelRewrite rewrite;
  rewrite.kind = ChannelRewrite::Kind::kPads;
  rewrite.node = index;
  rewrite.input = 1;
  rewrite.axis = in->axis;
  rewrite.before = before;
  rewrite.after = after;
  rewrite.symbols = MakeSymbols(before, false);
  rewrite.symbols.insert(rewrite.symbols.end(), in->symbols.begin(),
                         in->symbols.end());
  const std::vector<int> tail = MakeSymbols(after, false);
  rewrite.symbols.insert(rewrite.symbols.end(), tail.begin(), tail.end());
  ChannelView out{in->axis, rewrite.symbols};
  rewrites_.push_back(std::move(rewrite));
  return out;
}

ChannelPropagation::View ChannelPropagation::VisitReshape(int index) {
  const View& in = ViewOf(Input(index, 0));
  if (!in) return std::nullopt;
  const std::optional<MovedAxis> moved = MoveAxis(
      ShapeOf(Input(index, 0)), ShapeOf(node(index).outputs[0]), in->axis);
  if (!moved) return VisitAxisSplit(index);
  std::vector<int> symbols;
  for (int64_t o = 0; o < moved->outer; ++o) {
    for (const int symbol : in->symbols) {
      symbols.insert(symbols.end(), moved->inner, symbol);
    }
  }
  if (node(index).op_type == "Reshape" &&
      !SetTarget(index, moved->axis, in->axis, symbols)) {
    return Refuse(index);
  }
  return ChannelView{moved->axis, std::move(symbols)};
}

bool ChannelPropagation::SetTarget(int index, int axis, int in_axis,
                                   const std::vector<int>& target) {
  const auto shape = Integers(index, 1, "shape");
  if (!shape) return false;
  const int64_t size = (*shape)[axis];
  const ValueId id = Input(index, 1);
  if (size <= 0) return size == -1 || axis == in_axis;
  if (id == kNoValue || !graph_.IsConstant(id)) return false;
  ChannelRewrite rewrite;
  rewrite.kind = ChannelRewrite::Kind::kTargetShape;
  rewrite.node = index;
  rewrite.input = 1;
  rewrite.axis = axis;
  rewrite.symbols = target;
  rewrites_.push_back(std::move(rewrite));
  return true;
}

bool ChannelPropagation::IsShuffle(int reshape) const {
  const auto only_reader = [this](int index, const char* op) -> int {
    const ValueId out = node(index).outputs[0];
    const std::vector<int>& readers = graph_.Consumers(out);
    const bool is_op = readers.size() == 1 && !graph_.IsOutput(out) &&
                       node(readers[0]).op_type == op;
    return is_op ? readers[0] : -1;
  };
  const int transpose = only_reader(reshape, "Transpose");
  const int back = transpose < 0 ? -1 : only_reader(transpose, "Reshape");
  return back >= 0 &&
         ShapeOf(node(back).outputs[0]) == ShapeOf(Input(reshape, 0));
}

ChannelPropagation::View ChannelPropagation::VisitAxisSplit(int index) {
  const View& in = ViewOf(Input(index, 0));
  const Shape& out_shape = ShapeOf(node(index).outputs[0]);
  for (const Segment& segment :
       MatchSegments(ShapeOf(Input(index, 0)), out_shape)) {
    if (segment.in != std::vector<int>{in->axis} || in->axis == 0) continue;
    if (node(index).op_type != "Reshape" || segment.out.size() < 2) break;
    // What stays an axis: a shuffle's channels within a group; else the heads,
    // behind which come the features of one head.
    const size_t chosen = segment.out.size() - (IsShuffle(index) ? 1 : 2);
    int64_t inner = 1;
    for (size_t i = chosen + 1; i < segment.out.size(); ++i) {
      inner *= out_shape[segment.out[i]];
    }
    const int axis = segment.out[chosen];
    std::vector<int> kept(out_shape[axis], -1);
    std::vector<int> symbols = in->symbols;
    for (size_t i = 0; i < symbols.size(); ++i) {
      int& first = kept[i / inner % kept.size()];
      if (first < 0) first = symbols[i];
      symbols_.Unite(first, symbols[i]);
    }
    if (!SetTarget(index, axis, /*in_axis=*/-1, kept)) return Refuse(index);
    return ChannelView{axis, std::move(kept)};
  }
  return Refuse(index);
}

ChannelPropagation::View ChannelPropagation::VisitTranspose(int index) {
  const View& in = ViewOf(Input(index, 0));
  if (!in) return std::nullopt;
  const int rank = Rank(Input(index, 0));
  std::vector<int64_t> reversed(rank);
  for (int i = 0; i < rank; ++i) reversed[i] = rank - 1 - i;
  const std::vector<int64_t> order = node(index).IntsOr("perm", reversed);
  const auto at = std::find(order.begin(), order.end(), in->axis);
  if (at == order.end()) return Refuse(index);
  return ChannelView{static_cast<int>(at - order.begin()), in->symbols};
}

ChannelPropagation::View ChannelPropagation::VisitReduce(int index) {
  const View& in = ViewOf(Input(index, 0));
  if (!in) return std::nullopt;
  const int rank = Rank(Input(index, 0));
  const auto axes = Integers(index, 1, "axes");
  // Without axes all are reduced.
  if (!axes || axes->empty() || Contains(*axes, in->axis, rank)) {
    return Refuse(index);
  }
  if (node(index).IntOr("keepdims", 1) != 0) return in;
  int axis = in->axis;
  for (const int64_t a : *axes) {
    if ((a < 0 ? a + rank : a) < in->axis) --axis;
  }
  return ChannelView{axis, in->symbols};
}

ChannelPropagation::View ChannelPropagation::VisitResize(int index) {
  // Target sizes name the channels; scales do not.
  if (Input(index, 3) != kNoValue) return Refuse(index);
  std::vector<int> symbols = InputSymbols(index, 1);
  if (symbols.empty()) return std::nullopt;
  return ChannelView{1, std::move(symbols)};
}

ChannelPropagation::View ChannelPropagation::VisitLayerNormalization(
    int index) {
  // Every channel depends on all, but they stay where they are: whoever reads
  // them can be told where they come from.
  const View& in = ViewOf(Input(index, 0));
  Pin(in);
  return in;
}

ChannelPropagation::View ChannelPropagation::VisitShape(int index) {
  // Models ask for the batch to flatten by; a size of channels that is passed
  // on would have to change with them.
  const View& in = ViewOf(Input(index, 0));
  if (!in) return std::nullopt;
  const ValueId shape = node(index).outputs[0];
  const int rank = Rank(Input(index, 0));
  bool avoids_channels = !graph_.IsOutput(shape) &&
                         node(index).attributes.count("start") == 0 &&
                         node(index).attributes.count("end") == 0;
  for (const int reader : graph_.Consumers(shape)) {
    const auto indices = Integers(reader, 1, "");
    avoids_channels =
        avoids_channels && indices && node(reader).op_type == "Gather" &&
        Input(reader, 0) == shape && !Contains(*indices, in->axis, rank);
  }
  if (!avoids_channels) return Refuse(index);
  return std::nullopt;
}

ChannelPropagation::View ChannelPropagation::VisitSoftmax(int index) {
  const View& in = ViewOf(Input(index, 0));
  if (!in) return std::nullopt;
  int64_t axis = node(index).IntOr("axis", -1);
  if (axis < 0) axis += Rank(Input(index, 0));
  // Before opset 13 all axes from `axis` on were one.
  const bool is_mixed =
      graph_.parts().opset >= 13 ? in->axis == axis : in->axis >= axis;
  if (is_mixed || (graph_.parts().opset < 13 &&
                   node(index).attributes.count("axis") == 0)) {
    return Refuse(index);
  }
  return in;
}

}  // namespace lathe

// Rules for operators that pick channels, and for products of two tensors.
#include <algorithm>
#include <string>
#include <utility>

#include "compressor/channel_propagation.h"

namespace lathe {

ChannelPropagation::View ChannelPropagation::VisitProduct(int index) {
  const View& in = ViewOf(Input(index, 0));
  const int rank = Rank(node(index).outputs[0]);
  const bool is_batched = in && in->axis < rank - 2 &&
                          Rank(Input(index, 0)) == rank &&
                          Rank(Input(index, 1)) == rank;
  if (!is_batched) return Refuse(index);
  ChannelView out = *in;
  Join(out, rank, index, 1);
  return out;
}

ChannelPropagation::View ChannelPropagation::VisitGather(int index) {
  const View& in = ViewOf(Input(index, 0));
  if (!in) return Refuse(index);
  const int rank = Rank(Input(index, 0));
  int64_t axis = node(index).IntOr("axis", 0);
  if (axis < 0) axis += rank;
  const ValueId id = Input(index, 1);
  const int indices_rank = Rank(id);
  if (axis != in->axis) {
    Pin(ViewOf(id));
    return ChannelView{in->axis < axis ? in->axis : in->axis - 1 + indices_rank,
                       in->symbols};
  }
  const auto indices = Integers(index, 1, "");
  if (!indices || indices_rank != 1 || !graph_.IsConstant(id)) {
    return Refuse(index);
  }
  ChannelRewrite rewrite;
  rewrite.kind = ChannelRewrite::Kind::kIndices;
  rewrite.node = index;
  rewrite.input = 1;
  rewrite.symbols = in->symbols;
  const int64_t count = static_cast<int64_t>(in->symbols.size());
  ChannelView out{in->axis, {}};
  for (const int64_t i : *indices) {
    out.symbols.push_back(in->symbols[i < 0 ? i + count : i]);
  }
  rewrites_.push_back(std::move(rewrite));
  return out;
}

ChannelPropagation::View ChannelPropagation::VisitSlice(int index) {
  const View& in = ViewOf(Input(index, 0));
  if (!in) return std::nullopt;
  const int rank = Rank(Input(index, 0));
  std::optional<std::vector<int64_t>> axes = Integers(index, 3, "axes");
  if (!axes) {
    const auto starts = Integers(index, 1, "starts");
    if (!starts || Input(index, 3) != kNoValue) return Refuse(index);
    axes.emplace();
    for (size_t i = 0; i < starts->size(); ++i) axes->push_back(i);
  }
  for (size_t i = 0; i < axes->size(); ++i) {
    const int64_t axis = (*axes)[i];
    if ((axis < 0 ? axis + rank : axis) == in->axis) {
      return SliceChannels(index, *in, i);
    }
  }
  return in;
}

ChannelPropagation::View ChannelPropagation::SliceChannels(
    int index, const ChannelView& in, size_t at) {
  const auto starts = Integers(index, 1, "starts");
  const auto ends = Integers(index, 2, "ends");
  const auto steps = Integers(index, 4, "steps");
  const bool is_attribute = node(index).attributes.count("starts") > 0;
  const bool is_rewritable =
      is_attribute || (graph_.IsConstant(Input(index, 1)) &&
                       graph_.IsConstant(Input(index, 2)));
  if (!is_rewritable || !starts || !ends ||
      (Input(index, 4) != kNoValue && (!steps || (*steps)[at] != 1))) {
    return Refuse(index);
  }
  const int64_t count = static_cast<int64_t>(in.symbols.size());
  const auto bound = [count](int64_t v) {
    return std::min(std::max<int64_t>(v < 0 ? v + count : v, 0), count);
  };
  const int64_t start = bound((*starts)[at]);
  const int64_t end = std::max(start, bound((*ends)[at]));
  ChannelRewrite rewrite;
  rewrite.kind = ChannelRewrite::Kind::kSlice;
  rewrite.node = index;
  rewrite.axis = static_cast<int>(at);
  rewrite.symbols = in.symbols;
  rewrite.sizes = {start, end - start, count - end};
  rewrites_.push_back(std::move(rewrite));
  return ChannelView{in.axis,
                     {in.symbols.begin() + start, in.symbols.begin() + end}};
}

}  // namespace lathe

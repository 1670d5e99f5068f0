#include "evaluator/network_segments.h"

#include <algorithm>
#include <set>
#include <utility>

#include "base/status.h"
#include "compressor/shape_inference.h"

namespace lathe {
namespace {

bool HasWeights(const Graph& graph, const Node& node) {
  return (node.op_type == "Conv" || node.op_type == "Gemm" ||
          node.op_type == "MatMul") &&
         node.inputs.size() > 1 && graph.IsConstant(node.inputs[1]);
}

// For each node the values that are made before or by it and read after it.
std::vector<std::set<ValueId>> LiveAfter(const Graph& graph) {
  const int count = static_cast<int>(graph.nodes().size());
  std::vector<std::set<ValueId>> live(count);
  const auto add = [&](ValueId id, int from) {
    int last = from - 1;
    for (const int consumer : graph.Consumers(id)) {
      last = std::max(last, consumer - 1);
    }
    if (graph.IsOutput(id)) last = count - 1;
    for (int i = from; i <= last; ++i) live[i].insert(id);
  };
  for (const ValueId id : graph.inputs()) add(id, 0);
  for (int i = 0; i < count; ++i) {
    for (const ValueId id : graph.nodes()[i].outputs) {
      if (id != kNoValue) add(id, i);
    }
  }
  return live;
}

// Shapes for a batch of 1, or of what the graph is made for.
absl::StatusOr<std::vector<ValueInfo>> Shapes(const Graph& graph) {
  LATHE_ASSIGN_OR_RETURN(const std::vector<Shape> inputs,
                         InputShapes(graph, FixedBatch(graph).value_or(1)));
  return InferShapes(graph, inputs);
}

void SetShape(const ValueInfo& info, Value* value) {
  value->type = info.type;
  value->shape = info.shape;
  if (!value->shape.empty()) value->shape[0] = kDynamic;
}

}  // namespace

std::vector<Segment> FindSegments(const Graph& graph) {
  if (graph.inputs().size() != 1 || graph.outputs().size() != 1) return {};
  const std::vector<std::set<ValueId>> live = LiveAfter(graph);
  const int count = static_cast<int>(graph.nodes().size());
  std::vector<Segment> segments;
  Segment open;
  open.input = graph.inputs()[0];
  bool has_weights = false;
  // The latest node after which the open segment can end: what has no weights
  // stays with what is before it.
  int cut = -1;
  for (int i = 0; i < count; ++i) {
    if (HasWeights(graph, graph.nodes()[i])) {
      if (cut >= open.first) {
        open.last = cut;
        open.output = *live[cut].begin();
        segments.push_back(open);
        open.first = cut + 1;
        open.input = open.output;
      }
      has_weights = true;
      cut = -1;
    }
    if (live[i].size() == 1 && has_weights) cut = i;
  }
  open.last = count - 1;
  open.output = graph.outputs()[0];
  segments.push_back(open);
  return segments;
}

absl::StatusOr<Graph> SegmentGraph(const Graph& graph, const Segment& segment) {
  LATHE_ASSIGN_OR_RETURN(const std::vector<ValueInfo> shapes, Shapes(graph));
  GraphParts parts;
  parts.name = graph.parts().name;
  parts.opset = graph.parts().opset;
  std::vector<ValueId> renamed(graph.values().size(), kNoValue);
  const auto take = [&](ValueId id) {
    if (id == kNoValue) return kNoValue;
    if (renamed[id] == kNoValue) {
      renamed[id] = static_cast<ValueId>(parts.values.size());
      parts.values.push_back(graph.value(id));
    }
    return renamed[id];
  };
  parts.inputs = {take(segment.input)};
  for (int i = segment.first; i <= segment.last; ++i) {
    Node node = graph.nodes()[i];
    for (ValueId& id : node.inputs) id = take(id);
    for (ValueId& id : node.outputs) id = take(id);
    parts.nodes.push_back(std::move(node));
  }
  parts.outputs = {take(segment.output)};
  SetShape(shapes[segment.input], &parts.values[parts.inputs[0]]);
  SetShape(shapes[segment.output], &parts.values[parts.outputs[0]]);
  return Graph::Create(std::move(parts));
}

absl::StatusOr<Graph> Concatenate(absl::Span<const Graph* const> parts) {
  GraphParts whole = parts[0]->parts();
  for (const Graph* part : parts.subspan(1)) {
    const ValueId seam = whole.outputs[0];
    const ValueId input = part->inputs()[0];
    std::vector<ValueId> renamed;
    for (ValueId id = 0; id < static_cast<ValueId>(part->values().size());
         ++id) {
      if (id == input) {
        renamed.push_back(seam);
        continue;
      }
      renamed.push_back(static_cast<ValueId>(whole.values.size()));
      whole.values.push_back(part->value(id));
    }
    if (part->value(input).grid) {
      whole.values[seam].grid = part->value(input).grid;
    }
    for (Node node : part->nodes()) {
      for (ValueId& id : node.inputs) {
        if (id != kNoValue) id = renamed[id];
      }
      for (ValueId& id : node.outputs) {
        if (id != kNoValue) id = renamed[id];
      }
      whole.nodes.push_back(std::move(node));
    }
    whole.outputs = {renamed[part->outputs()[0]]};
  }
  return Graph::Create(std::move(whole));
}

}  // namespace lathe

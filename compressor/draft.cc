#include "compressor/draft.h"

#include <algorithm>
#include <tuple>
#include <utility>

#include "absl/strings/str_cat.h"

namespace lathe {
namespace {

constexpr int kNoProducer = -1;

std::string Unused(const absl::flat_hash_set<std::string>& taken,
                   const std::string& wanted) {
  std::string name = wanted;
  for (int i = 2; taken.contains(name); ++i) {
    name = absl::StrCat(wanted, "_", i);
  }
  return name;
}

// Keeps the values that are marked and gives them new numbers.
void Renumber(const std::vector<bool>& is_kept, GraphParts& parts) {
  std::vector<ValueId> renumbered(parts.values.size(), kNoValue);
  std::vector<Value> values;
  for (size_t id = 0; id < parts.values.size(); ++id) {
    if (!is_kept[id]) continue;
    renumbered[id] = static_cast<ValueId>(values.size());
    values.push_back(std::move(parts.values[id]));
  }
  parts.values = std::move(values);
  const auto apply = [&renumbered](std::vector<ValueId>& ids) {
    for (ValueId& id : ids) id = id == kNoValue ? kNoValue : renumbered[id];
  };
  for (Node& node : parts.nodes) {
    apply(node.inputs);
    apply(node.outputs);
  }
  apply(parts.inputs);
  apply(parts.outputs);
}

}  // namespace

bool Draft::Position::operator<(const Position& other) const {
  return std::tie(original, is_original, inserted) <
         std::tie(other.original, other.is_original, other.inserted);
}

Draft::Draft(const Graph& graph)
    : parts_(graph.parts()),
      is_removed_(graph.nodes().size(), false),
      position_(graph.nodes().size()),
      producer_(graph.values().size(), kNoProducer),
      readers_(graph.values().size()),
      is_output_(graph.values().size(), false) {
  for (const ValueId id : parts_.outputs) is_output_[id] = true;
  for (const Value& value : parts_.values) value_names_.insert(value.name);
  for (int i = 0; i < NodeCount(); ++i) {
    position_[i].original = i;
    node_names_.insert(parts_.nodes[i].name);
    for (const ValueId id : parts_.nodes[i].outputs) {
      if (id != kNoValue) producer_[id] = i;
    }
    for (const ValueId id : parts_.nodes[i].inputs) {
      if (id != kNoValue) readers_[id].push_back(i);
    }
  }
}

std::optional<int> Draft::Producer(ValueId id) const {
  if (id == kNoValue || producer_[id] == kNoProducer) return std::nullopt;
  return producer_[id];
}

bool Draft::IsPrivate(ValueId id) const {
  return id != kNoValue && readers_[id].size() == 1 && !IsOutput(id) &&
         !value(id).grid.has_value();
}

ValueId Draft::AddValue(const std::string& name, DataType type) {
  Value value;
  value.name = Unused(value_names_, name);
  value.type = type;
  value_names_.insert(value.name);
  parts_.values.push_back(std::move(value));
  producer_.push_back(kNoProducer);
  readers_.emplace_back();
  is_output_.push_back(false);
  return static_cast<ValueId>(parts_.values.size()) - 1;
}

ValueId Draft::AddConstant(const std::string& name, Tensor tensor) {
  const ValueId id = AddValue(name, tensor.type());
  MakeConstant(id, std::move(tensor));
  return id;
}

void Draft::MakeConstant(ValueId id, Tensor tensor) {
  Value& value = parts_.values[id];
  value.type = tensor.type();
  value.shape = tensor.shape();
  value.constant = std::move(tensor);
  if (producer_[id] == kNoProducer) return;
  for (ValueId& output : parts_.nodes[producer_[id]].outputs) {
    if (output == id) output = kNoValue;
  }
  producer_[id] = kNoProducer;
}

int Draft::InsertBefore(int next, Node node) {
  const int index = NodeCount();
  node.name = Unused(node_names_, node.name);
  node_names_.insert(node.name);
  std::vector<ValueId> inputs = std::move(node.inputs);
  std::vector<ValueId> outputs = std::move(node.outputs);
  node.inputs.clear();
  node.outputs.clear();
  parts_.nodes.push_back(std::move(node));
  is_removed_.push_back(false);
  position_.push_back({position_[next].original, false, index});
  SetInputs(index, std::move(inputs));
  SetOutputs(index, std::move(outputs));
  return index;
}

void Draft::SetInputs(int index, std::vector<ValueId> inputs) {
  for (const ValueId id : parts_.nodes[index].inputs) {
    if (id == kNoValue) continue;
    readers_[id].erase(
        std::find(readers_[id].begin(), readers_[id].end(), index));
  }
  for (const ValueId id : inputs) {
    if (id != kNoValue) readers_[id].push_back(index);
  }
  parts_.nodes[index].inputs = std::move(inputs);
}

void Draft::SetOutputs(int index, std::vector<ValueId> outputs) {
  for (const ValueId id : parts_.nodes[index].outputs) {
    if (id != kNoValue && producer_[id] == index) producer_[id] = kNoProducer;
  }
  for (const ValueId id : outputs) {
    if (id != kNoValue) producer_[id] = index;
  }
  parts_.nodes[index].outputs = std::move(outputs);
}

void Draft::ReplaceUses(ValueId from, ValueId to) {
  if (from == to) return;
  for (const int reader : readers_[from]) {
    // A node that reads it twice stands twice among the readers.
    std::vector<ValueId>& inputs = parts_.nodes[reader].inputs;
    *std::find(inputs.begin(), inputs.end(), from) = to;
    readers_[to].push_back(reader);
  }
  readers_[from].clear();
  if (!is_output_[from]) return;
  std::replace(parts_.outputs.begin(), parts_.outputs.end(), from, to);
  is_output_[from] = false;
  is_output_[to] = true;
}

void Draft::Remove(int index) {
  SetInputs(index, {});
  SetOutputs(index, {});
  is_removed_[index] = true;
}

bool Draft::Bypass(int index, ValueId in) {
  const ValueId out = parts_.nodes[index].outputs[0];
  if (value(out).grid.has_value()) return false;
  if (!IsOutput(out)) {
    Remove(index);
    ReplaceUses(out, in);
    return true;
  }
  const std::optional<int> producer = Producer(in);
  if (!producer.has_value() || IsOutput(in) || value(in).grid.has_value()) {
    return false;
  }
  Remove(index);
  ReplaceUses(in, out);
  std::vector<ValueId> outputs = parts_.nodes[*producer].outputs;
  std::replace(outputs.begin(), outputs.end(), in, out);
  SetOutputs(*producer, std::move(outputs));
  return true;
}

std::vector<int> Draft::LiveNodesInOrder() const {
  std::vector<int> order;
  for (int i = 0; i < NodeCount(); ++i) {
    if (!is_removed_[i]) order.push_back(i);
  }
  std::sort(order.begin(), order.end(),
            [this](int a, int b) { return position_[a] < position_[b]; });
  std::vector<bool> is_needed(parts_.values.size(), false);
  for (const ValueId id : parts_.outputs) is_needed[id] = true;
  std::vector<int> live;
  for (auto i = order.rbegin(); i != order.rend(); ++i) {
    const Node& node = parts_.nodes[*i];
    const bool is_live = std::any_of(
        node.outputs.begin(), node.outputs.end(),
        [&](ValueId id) { return id != kNoValue && is_needed[id]; });
    if (!is_live) continue;
    live.push_back(*i);
    for (const ValueId id : node.inputs) {
      if (id != kNoValue) is_needed[id] = true;
    }
  }
  std::reverse(live.begin(), live.end());
  return live;
}

absl::StatusOr<Graph> Draft::Finish() && {
  std::vector<Node> nodes;
  std::vector<bool> is_kept(parts_.values.size(), false);
  const auto keep = [&is_kept](const std::vector<ValueId>& ids) {
    for (const ValueId id : ids) {
      if (id != kNoValue) is_kept[id] = true;
    }
  };
  for (const int index : LiveNodesInOrder()) {
    nodes.push_back(std::move(parts_.nodes[index]));
    keep(nodes.back().inputs);
    keep(nodes.back().outputs);
  }
  keep(parts_.inputs);
  keep(parts_.outputs);
  parts_.nodes = std::move(nodes);
  Renumber(is_kept, parts_);
  return Graph::Create(std::move(parts_));
}

}  // namespace lathe

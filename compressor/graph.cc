#include "compressor/graph.h"

#include <algorithm>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "base/status.h"

namespace lathe {
namespace {

template <typename T>
const T* Find(const std::map<std::string, Attribute>& attributes,
              const std::string& key) {
  const auto found = attributes.find(key);
  return found == attributes.end() ? nullptr : std::get_if<T>(&found->second);
}

// Where each value comes from while nodes are walked in order.
constexpr int kFromNothing = -2;
constexpr int kFromOutside = -1;

absl::Status NodeError(const Node& node, absl::string_view what) {
  return absl::InvalidArgumentError(
      absl::StrCat("node \"", node.name, "\" (", node.op_type, "): ", what));
}

absl::Status CheckId(const GraphParts& parts, ValueId id,
                     absl::string_view what) {
  if (id >= 0 && id < static_cast<int>(parts.values.size())) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(absl::StrCat(
      what, ": value id ", id, ", not in [0, ", parts.values.size(), ")"));
}

absl::Status CheckPostOps(const Node& node) {
  for (const PostOp& post_op : node.post_ops) {
    if (post_op.kind != PostOp::Kind::kAdd) continue;
    if (post_op.input < 1 ||
        post_op.input >= static_cast<int>(node.inputs.size()) ||
        node.inputs[post_op.input] == kNoValue) {
      return NodeError(node,
                       absl::StrCat("a post-op adds input ", post_op.input,
                                    ", which the node does not have"));
    }
  }
  return absl::OkStatus();
}

absl::Status CheckInputs(const GraphParts& parts, const Node& node,
                         const std::vector<int>& producer) {
  for (const ValueId id : node.inputs) {
    if (id == kNoValue) continue;
    LATHE_RETURN_IF_ERROR(
        CheckId(parts, id, absl::StrCat("input of node \"", node.name, "\"")));
    if (producer[id] == kFromNothing) {
      return NodeError(node,
                       absl::StrCat("reads value \"", parts.values[id].name,
                                    "\", which nothing before it produces"));
    }
  }
  return absl::OkStatus();
}

absl::Status ClaimOutputs(const GraphParts& parts, int index,
                          std::vector<int>& producer) {
  const Node& node = parts.nodes[index];
  if (node.outputs.empty()) return NodeError(node, "has no outputs");
  for (const ValueId id : node.outputs) {
    if (id == kNoValue) continue;
    LATHE_RETURN_IF_ERROR(
        CheckId(parts, id, absl::StrCat("output of node \"", node.name, "\"")));
    if (producer[id] != kFromNothing) {
      return NodeError(node,
                       absl::StrCat("produces value \"", parts.values[id].name,
                                    "\", which is a constant, an input, or "
                                    "produced by another node"));
    }
    producer[id] = index;
  }
  return absl::OkStatus();
}

// The producers of all values before any node runs.
absl::StatusOr<std::vector<int>> OutsideProducers(const GraphParts& parts) {
  std::vector<int> producer(parts.values.size(), kFromNothing);
  for (size_t i = 0; i < parts.values.size(); ++i) {
    if (parts.values[i].constant.has_value()) producer[i] = kFromOutside;
  }
  for (const ValueId id : parts.inputs) {
    LATHE_RETURN_IF_ERROR(CheckId(parts, id, "graph input"));
    if (producer[id] != kFromNothing) {
      return absl::InvalidArgumentError(
          absl::StrCat("graph input \"", parts.values[id].name,
                       "\" is a constant, or stands twice"));
    }
    producer[id] = kFromOutside;
  }
  return producer;
}

}  // namespace

bool HasInput(const Node& node, size_t input) {
  return input < node.inputs.size() && node.inputs[input] != kNoValue;
}

int64_t Node::IntOr(const std::string& key, int64_t fallback) const {
  const int64_t* value = Find<int64_t>(attributes, key);
  return value == nullptr ? fallback : *value;
}

float Node::FloatOr(const std::string& key, float fallback) const {
  const float* value = Find<float>(attributes, key);
  return value == nullptr ? fallback : *value;
}

std::string Node::StringOr(const std::string& key,
                           const std::string& fallback) const {
  const std::string* value = Find<std::string>(attributes, key);
  return value == nullptr ? fallback : *value;
}

std::vector<int64_t> Node::IntsOr(const std::string& key,
                                  std::vector<int64_t> fallback) const {
  const auto* value = Find<std::vector<int64_t>>(attributes, key);
  if (value != nullptr) return *value;
  return fallback;
}

int Node::OperatorInputs() const {
  int count = static_cast<int>(inputs.size());
  for (const PostOp& post_op : post_ops) {
    if (post_op.kind == PostOp::Kind::kAdd) {
      count = std::min(count, post_op.input);
    }
  }
  return count;
}

absl::StatusOr<Graph> Graph::Create(GraphParts parts) {
  LATHE_ASSIGN_OR_RETURN(std::vector<int> producer, OutsideProducers(parts));
  std::vector<std::vector<int>> consumers(parts.values.size());
  absl::flat_hash_map<std::string, int> names;
  for (size_t i = 0; i < parts.nodes.size(); ++i) {
    const Node& node = parts.nodes[i];
    if (!names.emplace(node.name, i).second) {
      return NodeError(node, "has the name of another node");
    }
    LATHE_RETURN_IF_ERROR(CheckPostOps(node));
    LATHE_RETURN_IF_ERROR(CheckInputs(parts, node, producer));
    LATHE_RETURN_IF_ERROR(ClaimOutputs(parts, static_cast<int>(i), producer));
    for (const ValueId id : node.inputs) {
      if (id == kNoValue) continue;
      std::vector<int>& readers = consumers[id];
      if (readers.empty() || readers.back() != static_cast<int>(i)) {
        readers.push_back(static_cast<int>(i));
      }
    }
  }
  for (const ValueId id : parts.outputs) {
    LATHE_RETURN_IF_ERROR(CheckId(parts, id, "graph output"));
    if (producer[id] == kFromNothing) {
      return absl::InvalidArgumentError(
          absl::StrCat("graph output \"", parts.values[id].name,
                       "\" is produced by no node"));
    }
  }
  Graph graph(std::move(parts));
  graph.producer_ = std::move(producer);
  graph.consumers_ = std::move(consumers);
  return graph;
}

std::optional<int> Graph::Producer(ValueId id) const {
  if (id == kNoValue || producer_[id] < 0) return std::nullopt;
  return producer_[id];
}

bool Graph::IsOutput(ValueId id) const {
  return std::find(parts_.outputs.begin(), parts_.outputs.end(), id) !=
         parts_.outputs.end();
}

}  // namespace lathe

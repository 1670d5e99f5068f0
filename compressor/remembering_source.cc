#include "compressor/remembering_source.h"

#include <algorithm>
#include <variant>

#include "base/status.h"

namespace lathe {
namespace {

bool AreEqual(const Attribute& a, const Attribute& b) {
  if (a.index() != b.index()) return false;
  return std::visit(
      [&b](const auto& own) {
        using T = std::decay_t<decltype(own)>;
        const T& other = std::get<T>(b);
        if constexpr (std::is_same_v<T, Tensor>) {
          return own.type() == other.type() && own.shape() == other.shape() &&
                 own.bytes() == other.bytes();
        } else {
          return own == other;
        }
      },
      a);
}

bool AreEqual(const PostOp& a, const PostOp& b) {
  return a.kind == b.kind && a.alpha == b.alpha && a.beta == b.beta &&
         a.input == b.input;
}

}  // namespace

RememberingSource::RememberingSource(const Graph& original,
                                     ActivationSource& inner,
                                     int64_t most_bytes)
    : inner_(inner), most_bytes_(most_bytes) {
  for (const Node& node : original.nodes()) originals_[node.name] = &node;
  for (const Value& value : original.values()) {
    if (value.constant) known_.insert(&value.constant->bytes());
  }
}

absl::StatusOr<std::vector<Tensor>> RememberingSource::Inputs(int64_t first,
                                                              int64_t count) {
  const auto [found, is_first_time] = inputs_.try_emplace({first, count});
  if (found->second.has_value()) return *found->second;
  LATHE_ASSIGN_OR_RETURN(std::vector<Tensor> inputs,
                         inner_.Inputs(first, count));
  if (!is_first_time && Keep(inputs)) found->second = inputs;
  return inputs;
}

absl::StatusOr<std::vector<Tensor>> RememberingSource::Run(
    const Node& node, absl::Span<const Tensor> inputs) {
  Key memory;
  if (!IsOriginal(node) || !AreKnown(inputs, &memory)) {
    return inner_.Run(node, inputs);
  }
  std::pair<std::string, Key> key(node.name, std::move(memory));
  const auto found = runs_.find(key);
  if (found != runs_.end()) {
    ++spared_runs_;
    return found->second;
  }
  LATHE_ASSIGN_OR_RETURN(std::vector<Tensor> outputs, inner_.Run(node, inputs));
  if (Keep(outputs)) runs_[std::move(key)] = outputs;
  return outputs;
}

bool RememberingSource::IsOriginal(const Node& node) const {
  const auto found = originals_.find(node.name);
  if (found == originals_.end()) return false;
  const Node& own = *found->second;
  // The one precision in which nodes compute something else.
  const auto is_dynamic = [](const Node& n) {
    return n.precision == v1::INT8_DYNAMIC;
  };
  return is_dynamic(own) == is_dynamic(node) && own.op_type == node.op_type &&
         own.domain == node.domain &&
         own.outputs.size() == node.outputs.size() &&
         std::equal(
             own.post_ops.begin(), own.post_ops.end(), node.post_ops.begin(),
             node.post_ops.end(),
             [](const PostOp& a, const PostOp& b) { return AreEqual(a, b); }) &&
         std::equal(own.attributes.begin(), own.attributes.end(),
                    node.attributes.begin(), node.attributes.end(),
                    [](const auto& a, const auto& b) {
                      return a.first == b.first && AreEqual(a.second, b.second);
                    });
}

bool RememberingSource::AreKnown(absl::Span<const Tensor> inputs,
                                 Key* key) const {
  for (const Tensor& input : inputs) {
    // An input left out.
    const void* memory = input.size() == 0 ? nullptr : &input.bytes();
    if (memory != nullptr && known_.count(memory) == 0) return false;
    key->push_back(memory);
  }
  return true;
}

bool RememberingSource::Keep(const std::vector<Tensor>& tensors) {
  int64_t bytes = 0;
  for (const Tensor& tensor : tensors) {
    bytes += static_cast<int64_t>(tensor.bytes().size());
  }
  if (bytes_ + bytes > most_bytes_) return false;
  bytes_ += bytes;
  // They are kept, so that their addresses stay theirs.
  for (const Tensor& tensor : tensors) known_.insert(&tensor.bytes());
  return true;
}

}  // namespace lathe

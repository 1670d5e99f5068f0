#include "compressor/live_tensors.h"

#include <algorithm>
#include <string>

namespace lathe {

LiveTensors::LiveTensors(const Graph& graph)
    : inputs_(graph.inputs()),
      tensors_(graph.values().size()),
      last_used_by_(graph.nodes().size()) {
  for (ValueId id = 0; id < static_cast<ValueId>(tensors_.size()); ++id) {
    if (graph.IsConstant(id)) continue;
    const std::vector<int>& consumers = graph.Consumers(id);
    const std::optional<int> last =
        consumers.empty() ? graph.Producer(id) : consumers.back();
    if (last) last_used_by_[*last].push_back(id);
  }
}

void LiveTensors::SetInputs(const std::vector<Tensor>& inputs) {
  for (size_t i = 0; i < inputs.size(); ++i) {
    tensors_[inputs_[i]] = inputs[i];
  }
}

std::vector<Tensor> LiveTensors::InputsOf(const GraphParts& parts,
                                          const Node& node) const {
  std::vector<Tensor> inputs;
  inputs.reserve(node.inputs.size());
  for (const ValueId id : node.inputs) {
    if (id == kNoValue) {
      inputs.emplace_back(DataType::kFloat32, Shape{0}, std::string());
    } else if (parts.values[id].constant) {
      inputs.push_back(*parts.values[id].constant);
    } else {
      inputs.push_back(*tensors_[id]);
    }
  }
  return inputs;
}

void LiveTensors::SetOutputs(const Node& node,
                             const std::vector<Tensor>& outputs) {
  for (size_t i = 0; i < std::min(outputs.size(), node.outputs.size()); ++i) {
    if (node.outputs[i] != kNoValue) tensors_[node.outputs[i]] = outputs[i];
  }
}

void LiveTensors::FreeAfter(int node) {
  for (const ValueId id : last_used_by_[node]) tensors_[id].reset();
}

}  // namespace lathe

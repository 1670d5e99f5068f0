#include "compressor/opset.h"

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "base/status.h"
#include "compressor/canonical_passes.h"
#include "compressor/draft.h"

namespace lathe {
namespace {

Tensor IntTensor(const std::vector<int64_t>& values) {
  return Tensor::Of<int64_t>({static_cast<int64_t>(values.size())}, values);
}

// Puts a constant into input `input` of a node.
void SetInput(Draft& draft, int index, size_t input, const char* name,
              Tensor tensor) {
  std::vector<ValueId> inputs = draft.node(index).inputs;
  if (inputs.size() <= input) inputs.resize(input + 1, kNoValue);
  inputs[input] =
      draft.AddConstant(draft.node(index).name + "/" + name, std::move(tensor));
  draft.SetInputs(index, std::move(inputs));
}

// An attribute of integers becomes input `input`.
void IntsToInput(Draft& draft, int index, const char* name, size_t input) {
  const Node& node = draft.node(index);
  if (node.attributes.count(name) == 0) return;
  const std::vector<int64_t> values = node.IntsOr(name, {});
  draft.node(index).attributes.erase(name);
  SetInput(draft, index, input, name, IntTensor(values));
}

// An attribute of one float becomes input `input`.
void FloatToInput(Draft& draft, int index, const char* name, size_t input) {
  const Node& node = draft.node(index);
  if (node.attributes.count(name) == 0) return;
  const float value = node.FloatOr(name, 0);
  draft.node(index).attributes.erase(name);
  SetInput(draft, index, input, name,
           Tensor::Of<float>({}, std::vector<float>{value}));
}

// ------------------------------------------------------- from older opsets

// A node before node `index` that makes a new value from `in`; returns it.
ValueId InsertStep(Draft& draft, int index, const std::string& op,
                   const char* suffix, DataType type, ValueId in,
                   std::map<std::string, Attribute> attributes) {
  Node step;
  step.name = draft.node(index).name + suffix;
  step.op_type = op;
  step.attributes = std::move(attributes);
  step.inputs = {in};
  const ValueId out = draft.AddValue(step.name, type);
  step.outputs = {out};
  draft.InsertBefore(index, std::move(step));
  return out;
}

// Softmax over everything from the axis on, as one row: Flatten, Softmax,
// Reshape back, unless one axis says the same.
void UpgradeSoftmax(Draft& draft, const Probes& probes, int index) {
  const std::string op = draft.node(index).op_type;
  const ValueId x = draft.node(index).inputs[0];
  const int64_t rank = probes.Rank(x);
  int64_t axis = draft.node(index).IntOr("axis", 1);
  if (axis < 0) axis += rank;
  bool is_one_axis = axis < rank;
  for (int64_t d = axis + 1; d < rank; ++d) {
    is_one_axis = is_one_axis && probes.Size(x, d) == 1;
  }
  if (is_one_axis) {
    draft.node(index).attributes["axis"] = axis;
    return;
  }
  const ValueId flat = InsertStep(draft, index, "Flatten", "/flatten",
                                  DataType::kFloat32, x, {{"axis", axis}});
  const ValueId rows = InsertStep(draft, index, op, "/rows", DataType::kFloat32,
                                  flat, {{"axis", int64_t{1}}});
  const ValueId sizes =
      InsertStep(draft, index, "Shape", "/shape", DataType::kInt64, x, {});
  draft.node(index).op_type = "Reshape";
  draft.node(index).attributes.clear();
  draft.SetInputs(index, {rows, sizes});
}

// Resize of opset 10 and Upsample: from corners, scales as input 2.
void UpgradeResize(Draft& draft, int index) {
  Node& node = draft.node(index);
  const auto found = node.attributes.find("scales");
  if (found != node.attributes.end()) {
    const auto* scales = std::get_if<std::vector<float>>(&found->second);
    const std::vector<float> values =
        scales == nullptr ? std::vector<float>() : *scales;
    node.attributes.erase(found);
    SetInput(draft, index, 2, "scales",
             Tensor::Of<float>({static_cast<int64_t>(values.size())}, values));
  } else if (HasInput(node, 1)) {
    draft.SetInputs(index, {node.inputs[0], kNoValue, node.inputs[1]});
  }
  Node& resize = draft.node(index);
  resize.op_type = "Resize";
  resize.attributes["coordinate_transformation_mode"] =
      std::string("asymmetric");
  resize.attributes["nearest_mode"] = std::string("floor");
}

void UpgradeSlice(Draft& draft, int index) {
  IntsToInput(draft, index, "starts", 1);
  IntsToInput(draft, index, "ends", 2);
  IntsToInput(draft, index, "axes", 3);
}

// The number of elements becomes an input.
void UpgradeTopK(Draft& draft, int index) {
  const Node& node = draft.node(index);
  if (node.attributes.count("k") == 0) return;
  const int64_t k = node.IntOr("k", 0);
  draft.node(index).attributes.erase("k");
  SetInput(draft, index, 1, "k", IntTensor({k}));
}

void UpgradeNode(Draft& draft, const Probes& probes, int index, int64_t opset) {
  const std::string op = draft.node(index).op_type;
  auto& attributes = draft.node(index).attributes;
  if (op == "Softmax" || op == "LogSoftmax" || op == "Hardmax") {
    if (opset < 13) UpgradeSoftmax(draft, probes, index);
  } else if (op == "Squeeze" || op == "Unsqueeze" || op == "ReduceSum") {
    IntsToInput(draft, index, "axes", 1);
  } else if (op == "Split") {
    IntsToInput(draft, index, "split", 1);
  } else if (op == "Clip") {
    FloatToInput(draft, index, "min", 1);
    FloatToInput(draft, index, "max", 2);
  } else if (op == "Pad" && opset < 11) {
    IntsToInput(draft, index, "pads", 1);
    FloatToInput(draft, index, "value", 2);
  } else if (op == "Slice" && opset < 10) {
    UpgradeSlice(draft, index);
  } else if (op == "Upsample" || (op == "Resize" && opset < 11)) {
    UpgradeResize(draft, index);
  } else if (op == "TopK") {
    UpgradeTopK(draft, index);
  } else if (op == "Scatter") {
    draft.node(index).op_type = "ScatterElements";
  } else if (op == "Dropout") {
    attributes.erase("ratio");
  } else if (op == "BatchNormalization") {
    attributes.erase("spatial");
  }
}

// ------------------------------------------------------- from newer opsets

bool IsReduce(const std::string& op) { return op.rfind("Reduce", 0) == 0; }

// Whether opset 17 can say what `node` says, after DowngradeNode.
bool IsExpressible(const Draft& draft, const Node& node) {
  const std::string& op = node.op_type;
  for (const char* newer : {"Attention", "Gelu", "GroupNormalization", "Mish",
                            "RMSNormalization", "RotaryEmbedding", "Swish"}) {
    if (op == newer) return false;
  }
  if (IsReduce(op) && op != "ReduceSum") {
    if (node.IntOr("noop_with_empty_axes", 0) != 0) return false;
    return !HasInput(node, 1) ||
           (draft.IsConstant(node.inputs[1]) &&
            draft.value(node.inputs[1]).constant->type() == DataType::kInt64);
  }
  if (op == "Resize") {
    return node.attributes.count("axes") == 0 &&
           node.IntOr("antialias", 0) == 0 &&
           node.StringOr("keep_aspect_ratio_policy", "stretch") == "stretch" &&
           node.StringOr("coordinate_transformation_mode", "") !=
               "half_pixel_symmetric";
  }
  if (op == "Pad") {
    return !HasInput(node, 3) && node.StringOr("mode", "") != "wrap";
  }
  if (op == "ScatterElements" || op == "ScatterND") {
    const std::string reduction = node.StringOr("reduction", "none");
    return reduction != "max" && reduction != "min";
  }
  if (op == "AveragePool") return node.attributes.count("dilations") == 0;
  if (op == "QuantizeLinear" || op == "DequantizeLinear") {
    return node.IntOr("block_size", 0) == 0 &&
           node.IntOr("output_dtype", 0) == 0;
  }
  return true;
}

// Sizes for a Split that says only how many pieces it makes.
void DowngradeSplit(Draft& draft, const Probes& probes, int index) {
  const Node& node = draft.node(index);
  const int64_t pieces = node.IntOr("num_outputs", 0);
  draft.node(index).attributes.erase("num_outputs");
  if (pieces < 1 || HasInput(node, 1)) return;
  int64_t axis = node.IntOr("axis", 0);
  if (axis < 0) axis += probes.Rank(node.inputs[0]);
  const std::optional<int64_t> size = probes.Size(node.inputs[0], axis);
  if (!size.has_value() || *size % pieces == 0) return;
  const int64_t piece = (*size + pieces - 1) / pieces;
  std::vector<int64_t> sizes(pieces, piece);
  sizes.back() = *size - piece * (pieces - 1);
  SetInput(draft, index, 1, "split", IntTensor(sizes));
}

void DowngradeNode(Draft& draft, const Probes& probes, int index) {
  const Node& node = draft.node(index);
  const std::string op = node.op_type;
  auto& attributes = draft.node(index).attributes;
  if (IsReduce(op) && op != "ReduceSum") {
    attributes.erase("noop_with_empty_axes");
    if (!HasInput(node, 1)) return;
    const auto axes = draft.value(node.inputs[1]).constant->values<int64_t>();
    if (!axes.empty()) {
      attributes["axes"] = std::vector<int64_t>(axes.begin(), axes.end());
    }
    draft.SetInputs(index, {node.inputs[0]});
  } else if (op == "Split") {
    DowngradeSplit(draft, probes, index);
  } else if (op == "Cast" || op == "CastLike" || op == "QuantizeLinear") {
    attributes.erase("saturate");
    attributes.erase("round_mode");
    attributes.erase("output_dtype");
    attributes.erase("precision");
    attributes.erase("block_size");
  } else if (op == "DequantizeLinear") {
    attributes.erase("output_dtype");
    attributes.erase("block_size");
  } else if (op == "Resize") {
    attributes.erase("antialias");
    attributes.erase("keep_aspect_ratio_policy");
  }
}

}  // namespace

absl::StatusOr<Graph> ConvertToCommonOpset(const Graph& graph) {
  const int64_t opset = graph.parts().opset;
  if (opset == kCommonOpset) return graph;
  LATHE_ASSIGN_OR_RETURN(const Probes probes, Probes::Take(graph));
  Draft draft(graph);
  const int count = draft.NodeCount();
  if (opset > kCommonOpset) {
    for (int i = 0; i < count; ++i) {
      if (!IsExpressible(draft, draft.node(i))) return graph;
    }
  }
  for (int i = 0; i < count; ++i) {
    if (opset < kCommonOpset) {
      UpgradeNode(draft, probes, i, opset);
    } else {
      DowngradeNode(draft, probes, i);
    }
  }
  draft.SetOpset(kCommonOpset);
  return std::move(draft).Finish();
}

}  // namespace lathe

#include "compressor/graph_edit.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"

namespace lathe {
namespace {

int64_t CountUses(const GraphParts& parts, ValueId id) {
  int64_t uses = std::count(parts.outputs.begin(), parts.outputs.end(), id);
  for (const Node& node : parts.nodes) {
    uses += std::count(node.inputs.begin(), node.inputs.end(), id);
  }
  return uses;
}

std::string UnusedName(const GraphParts& parts, const std::string& wanted) {
  std::string name = wanted;
  const auto is_name = [&name](const Value& v) { return v.name == name; };
  for (int i = 2;
       std::any_of(parts.values.begin(), parts.values.end(), is_name); ++i) {
    name = absl::StrCat(wanted, "_", i);
  }
  return name;
}

}  // namespace

Tensor TakeAlongAxis(const Tensor& tensor, int axis,
                     absl::Span<const int64_t> indices) {
  const absl::Span<const int64_t> dims(tensor.shape());
  const size_t inner =
      ElementCount(dims.subspan(axis + 1)) * ElementBytes(tensor.type());
  const int64_t outer = ElementCount(dims.subspan(0, axis));
  std::string bytes;
  bytes.reserve(outer * indices.size() * inner);
  for (int64_t o = 0; o < outer; ++o) {
    for (const int64_t index : indices) {
      bytes.append(tensor.bytes(), (o * dims[axis] + index) * inner, inner);
    }
  }
  Shape shape = tensor.shape();
  shape[axis] = static_cast<int64_t>(indices.size());
  return Tensor(tensor.type(), std::move(shape), std::move(bytes));
}

Tensor RoundedToBfloat16(const Tensor& tensor) {
  const auto values = tensor.values<float>();
  std::vector<float> rounded(values.size());
  std::transform(values.begin(), values.end(), rounded.begin(), [](float x) {
    uint32_t bits = 0;
    std::memcpy(&bits, &x, sizeof(bits));
    if (std::isnan(x)) return x;
    bits += 0x7fff + ((bits >> 16) & 1);
    bits &= 0xffff0000;
    std::memcpy(&x, &bits, sizeof(bits));
    return x;
  });
  return Tensor::Of<float>(tensor.shape(), rounded);
}

void SetConstantInput(GraphParts* parts, int node, int input, Tensor tensor) {
  std::vector<ValueId>& inputs = parts->nodes[node].inputs;
  if (static_cast<int>(inputs.size()) <= input) {
    inputs.resize(input + 1, kNoValue);
  }
  const ValueId old = inputs[input];
  if (old != kNoValue && CountUses(*parts, old) == 1) {
    parts->values[old].type = tensor.type();
    parts->values[old].constant = std::move(tensor);
    return;
  }
  Value value;
  value.name = UnusedName(
      *parts, old == kNoValue
                  ? absl::StrCat(parts->nodes[node].name, "_input_", input)
                  : absl::StrCat(parts->values[old].name, "_of_",
                                 parts->nodes[node].name));
  value.type = tensor.type();
  value.constant = std::move(tensor);
  inputs[input] = static_cast<ValueId>(parts->values.size());
  parts->values.push_back(std::move(value));
}

}  // namespace lathe

// ONNX files to graphs and back.
#ifndef LATHE_COMPRESSOR_ONNX_H_
#define LATHE_COMPRESSOR_ONNX_H_

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "compressor/graph.h"

namespace lathe {

// Key of the entry in a model's metadata that names its bfloat16 layers, one a
// line.
constexpr char kBf16LayersKey[] = "lathe.bf16_layers";
// The same for LSTM and GRU nodes in INT8_DYNAMIC, whose states are rounded; to
// other engines only their inputs and weights are.
constexpr char kDynamicLayersKey[] = "lathe.dynamic_layers";

// The parsed form of an ONNX model. Survives any bytes in bounded memory.
// Subgraph-carrying operators, and operators that no part of Lathe executes,
// are refused here, by name. Nodes that the metadata of a model exported by
// Lathe name as bfloat16 are BF16.
//
// Errors:
//   InvalidArgument - not an ONNX model, truncated, or inconsistent.
//   Unimplemented - an operator or type that is not supported; the message
//     names it with its node and says what to do.
absl::StatusOr<Graph> ParseOnnx(absl::string_view bytes);

// A deployable ONNX file of a canonical graph: post-ops as nodes of their own,
// grids and quantised weights as QuantizeLinear / DequantizeLinear, opset
// 13-17, IR version 8, the batch dimension as declared. bf16 nodes stand as
// float32, listed in the metadata. Equal graphs give equal bytes.
absl::StatusOr<std::string> SerializeOnnx(const Graph& graph);

}  // namespace lathe

#endif  // LATHE_COMPRESSOR_ONNX_H_

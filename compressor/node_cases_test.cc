// ONNX's own backend node cases: every case that Lathe parses must come out
// right.
#include <cmath>
#include <fstream>
#include <iostream>
#include <sstream>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/file.h"
#include "base/status.h"
#include "compressor/onnx.h"
#include "compressor/onnx_tensor.h"
#include "compressor/op_shapes.h"
#include "compressor/reference_ops.h"
#include "compressor/shape_inference.h"
#include "compressor/testing/sample_models.h"
#include "gtest/gtest.h"

namespace lathe {
namespace {

std::string CasesDir() { return SampleDataDir() + "/onnx_node_tests"; }

std::vector<std::string> CaseNames() {
  std::ifstream file(CasesDir() + "/cases.tsv");
  std::vector<std::string> names;
  std::string line;
  std::getline(file, line);  // The heading.
  while (std::getline(file, line))
    names.push_back(line.substr(0, line.find('\t')));
  return names;
}

absl::StatusOr<Tensor> ReadTensor(const std::string& path) {
  LATHE_ASSIGN_OR_RETURN(const std::string bytes, ReadFile(path));
  onnx::TensorProto proto;
  if (!proto.ParseFromString(bytes)) {
    return absl::InvalidArgumentError(absl::StrCat(path, ": no tensor"));
  }
  return TensorFromOnnx(proto);
}

// Empty when `actual` is right, else what is wrong. 16-bit floats are computed
// in float32, so they are compared by their own precision.
std::string Difference(const Tensor& actual, const Tensor& stored) {
  const bool is_half = stored.type() != WidenHalf(stored).type();
  const Tensor expected = WidenHalf(stored);
  if (actual.type() != expected.type() || actual.shape() != expected.shape()) {
    return absl::StrCat(DataTypeName(actual.type()), " ",
                        ShapeToString(actual.shape()), " instead of ",
                        DataTypeName(expected.type()), " ",
                        ShapeToString(expected.shape()));
  }
  std::string difference;
  VisitType(actual.type(), [&](auto zero) {
    using T = decltype(zero);
    for (int64_t i = 0; i < actual.size(); ++i) {
      const double a = static_cast<double>(actual.values<T>()[i]);
      const double e = static_cast<double>(expected.values<T>()[i]);
      const double tolerance = 1e-5 + (is_half ? 2e-3 : 1e-3) * std::abs(e);
      const bool is_equal = a == e || (std::isnan(a) && std::isnan(e)) ||
                            std::abs(a - e) <= tolerance;
      if (is_equal || !difference.empty()) continue;
      difference = absl::StrCat("element ", i, " is ", a, ", not ", e);
    }
    return 0;
  });
  return difference;
}

// What inference says of the inputs' shapes must be what comes out.
absl::Status CheckInference(const Graph& graph,
                            const std::vector<Tensor>& inputs,
                            const std::vector<Tensor>& outputs) {
  std::vector<Shape> shapes;
  for (const Tensor& input : inputs) shapes.push_back(input.shape());
  const auto infos = InferShapes(graph, shapes);
  // A shape that depends on data is known only when the network runs.
  if (!infos.ok()) {
    return absl::IsUnimplemented(infos.status()) ? absl::OkStatus()
                                                 : infos.status();
  }
  for (size_t i = 0; i < outputs.size(); ++i) {
    const ValueInfo& info = (*infos)[graph.outputs()[i]];
    if (info.shape == outputs[i].shape() && info.type == outputs[i].type()) {
      continue;
    }
    return absl::InternalError(absl::StrCat("inferred ",
                                            ShapeToString(info.shape), ", got ",
                                            ShapeToString(outputs[i].shape())));
  }
  return absl::OkStatus();
}

absl::Status RunCase(const std::string& name) {
  const std::string folder = absl::StrCat(CasesDir(), "/node/", name);
  LATHE_ASSIGN_OR_RETURN(const std::string bytes,
                         ReadFile(folder + "/model.onnx"));
  LATHE_ASSIGN_OR_RETURN(const Graph graph, ParseOnnx(bytes));
  const std::string data = folder + "/test_data_set_0";
  std::vector<Tensor> inputs;
  for (size_t i = 0; i < graph.inputs().size(); ++i) {
    LATHE_ASSIGN_OR_RETURN(const Tensor input,
                           ReadTensor(absl::StrCat(data, "/input_", i, ".pb")));
    inputs.push_back(WidenHalf(input));
  }
  LATHE_ASSIGN_OR_RETURN(const std::vector<Tensor> outputs,
                         EvaluateGraph(graph, inputs));
  for (size_t i = 0; i < outputs.size(); ++i) {
    LATHE_ASSIGN_OR_RETURN(
        const Tensor expected,
        ReadTensor(absl::StrCat(data, "/output_", i, ".pb")));
    const std::string difference = Difference(outputs[i], expected);
    if (difference.empty()) continue;
    return absl::InternalError(absl::StrCat("output ", i, ": ", difference));
  }
  return CheckInference(graph, inputs, outputs);
}

TEST(NodeCases, EverySupportedCaseComesOutRight) {
  const std::vector<std::string> names = CaseNames();
  if (names.empty()) GTEST_SKIP() << kNoSampleData;
  int passed = 0;
  int unsupported = 0;
  for (const std::string& name : names) {
    const absl::Status status = RunCase(name);
    if (status.ok()) {
      ++passed;
    } else if (absl::IsUnimplemented(status)) {
      ++unsupported;
      std::cout << "unsupported: " << name << ": " << status.message() << "\n";
    } else {
      ADD_FAILURE() << name << ": " << status;
    }
  }
  std::cout << passed << " passed, " << names.size() - passed - unsupported
            << " failed, " << unsupported << " unsupported of " << names.size()
            << " cases\n";
  EXPECT_GT(passed, 0);
}

}  // namespace
}  // namespace lathe

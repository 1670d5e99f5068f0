#include "compressor/onnx.h"

#include <cmath>
#include <functional>
#include <limits>
#include <string>
#include <vector>

#include "compressor/onnx_tensor.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "onnx/onnx_pb.h"

namespace lathe {
namespace {

using testing::HasSubstr;

void DeclareTensor(const std::string& name, const std::vector<int64_t>& shape,
                   onnx::ValueInfoProto* info) {
  info->set_name(name);
  auto* type = info->mutable_type()->mutable_tensor_type();
  type->set_elem_type(onnx::TensorProto::FLOAT);
  type->mutable_shape();
  for (const int64_t size : shape) {
    auto* dim = type->mutable_shape()->add_dim();
    if (size == kDynamic) {
      dim->set_dim_param("batch");
    } else {
      dim->set_dim_value(size);
    }
  }
}

onnx::NodeProto* AddNode(onnx::GraphProto* graph, const std::string& op,
                         const std::vector<std::string>& inputs,
                         const std::vector<std::string>& outputs) {
  onnx::NodeProto* node = graph->add_node();
  node->set_op_type(op);
  node->set_name(op + "_node");
  for (const std::string& input : inputs) node->add_input(input);
  for (const std::string& output : outputs) node->add_output(output);
  return node;
}

// x [batch, 2] -> MatMul with w [2, 3] -> y -> Relu -> z.
onnx::ModelProto SmallModel() {
  onnx::ModelProto model;
  model.set_ir_version(8);
  model.add_opset_import()->set_version(17);
  onnx::GraphProto* graph = model.mutable_graph();
  graph->set_name("small");
  DeclareTensor("x", {kDynamic, 2}, graph->add_input());
  DeclareTensor("z", {kDynamic, 3}, graph->add_output());
  onnx::TensorProto* weights = graph->add_initializer();
  weights->set_name("w");
  weights->set_data_type(onnx::TensorProto::FLOAT);
  weights->add_dims(2);
  weights->add_dims(3);
  for (int i = 0; i < 6; ++i) weights->add_float_data(static_cast<float>(i));
  AddNode(graph, "MatMul", {"x", "w"}, {"y"});
  AddNode(graph, "Relu", {"y"}, {"z"});
  return model;
}

using Change = std::function<void(onnx::ModelProto&)>;

struct AcceptedModel {
  const char* what;
  Change change;
};

TEST(ParseOnnx, AcceptsWhatIsUnusualButRight) {
  const AcceptedModel cases[] = {
      {"as it is", [](onnx::ModelProto&) {}},
      {"the oldest opset",
       [](onnx::ModelProto& m) { m.mutable_opset_import(0)->set_version(7); }},
      {"the newest opset",
       [](onnx::ModelProto& m) { m.mutable_opset_import(0)->set_version(25); }},
      {"the domain spelt out",
       [](onnx::ModelProto& m) {
         m.mutable_opset_import(0)->set_domain("ai.onnx");
         m.mutable_graph()->mutable_node(0)->set_domain("ai.onnx");
       }},
      {"nodes out of order",
       [](onnx::ModelProto& m) {
         m.mutable_graph()->mutable_node()->SwapElements(0, 1);
       }},
      {"nodes without names",
       [](onnx::ModelProto& m) {
         m.mutable_graph()->mutable_node(0)->clear_name();
         m.mutable_graph()->mutable_node(1)->clear_name();
       }},
      {"two nodes of one name",
       [](onnx::ModelProto& m) {
         m.mutable_graph()->mutable_node(0)->set_name("same");
         m.mutable_graph()->mutable_node(1)->set_name("same");
       }},
      {"an initialiser that is declared as an input",
       [](onnx::ModelProto& m) {
         DeclareTensor("w", {2, 3}, m.mutable_graph()->add_input());
       }},
      {"an output without a type",
       [](onnx::ModelProto& m) {
         m.mutable_graph()->mutable_output(0)->clear_type();
       }},
      {"weights as raw bytes",
       [](onnx::ModelProto& m) {
         auto* weights = m.mutable_graph()->mutable_initializer(0);
         weights->clear_float_data();
         weights->set_raw_data(std::string(24, '\0'));
       }},
      {"an input left out in the middle",
       [](onnx::ModelProto& m) {
         auto* node = m.mutable_graph()->mutable_node(1);
         node->set_op_type("Clip");
         node->add_input("");
         node->add_input("");
       }},
  };
  for (const AcceptedModel& accepted : cases) {
    onnx::ModelProto model = SmallModel();
    accepted.change(model);
    const auto graph = ParseOnnx(model.SerializeAsString());
    ASSERT_TRUE(graph.ok()) << accepted.what << ": " << graph.status();
    EXPECT_EQ(graph->nodes().size(), 2u) << accepted.what;
    EXPECT_EQ(graph->nodes()[0].op_type, "MatMul") << accepted.what;
    EXPECT_EQ(graph->inputs().size(), 1u) << accepted.what;
    EXPECT_EQ(graph->value(graph->inputs()[0]).shape, (Shape{kDynamic, 2}));
  }
}

onnx::TensorProto* Weights(onnx::ModelProto& model) {
  return model.mutable_graph()->mutable_initializer(0);
}
onnx::NodeProto* FirstNode(onnx::ModelProto& model) {
  return model.mutable_graph()->mutable_node(0);
}
onnx::AttributeProto* AddAttribute(onnx::ModelProto& model,
                                   onnx::AttributeProto::AttributeType type) {
  onnx::AttributeProto* attribute = FirstNode(model)->add_attribute();
  attribute->set_name("thing");
  attribute->set_type(type);
  return attribute;
}

struct RejectedModel {
  const char* what;
  Change change;
  absl::StatusCode code;
  const char* message;
};

constexpr absl::StatusCode kInvalid = absl::StatusCode::kInvalidArgument;
constexpr absl::StatusCode kUnimplemented = absl::StatusCode::kUnimplemented;

const RejectedModel kRejected[] = {
    {"no graph", [](onnx::ModelProto& m) { m.clear_graph(); }, kInvalid,
     "no graph"},
    {"weights that are no numbers",
     [](onnx::ModelProto& m) {
       Weights(m)->set_float_data(1, std::numeric_limits<float>::quiet_NaN());
     },
     kInvalid, "holds NaN"},
    {"no opset", [](onnx::ModelProto& m) { m.clear_opset_import(); }, kInvalid,
     "opset"},
    {"an opset of another domain only",
     [](onnx::ModelProto& m) {
       m.mutable_opset_import(0)->set_domain("com.example");
     },
     kInvalid, "opset"},
    {"an opset that is too old",
     [](onnx::ModelProto& m) { m.mutable_opset_import(0)->set_version(6); },
     kUnimplemented, "opset 6"},
    {"an opset that is too new",
     [](onnx::ModelProto& m) { m.mutable_opset_import(0)->set_version(26); },
     kUnimplemented, "opset 26"},
    {"a negative opset",
     [](onnx::ModelProto& m) { m.mutable_opset_import(0)->set_version(-1); },
     kUnimplemented, "opset -1"},
    {"an unknown operator",
     [](onnx::ModelProto& m) { FirstNode(m)->set_op_type("Foo"); },
     kUnimplemented, "operator Foo (node \"MatMul_node\") is not supported"},
    {"an operator of another domain",
     [](onnx::ModelProto& m) { FirstNode(m)->set_domain("com.microsoft"); },
     kUnimplemented, "com.microsoft.MatMul"},
    {"an operator without a name",
     [](onnx::ModelProto& m) { FirstNode(m)->clear_op_type(); }, kUnimplemented,
     "MatMul_node"},
    {"control flow",
     [](onnx::ModelProto& m) { FirstNode(m)->set_op_type("If"); },
     kUnimplemented, "operator If"},
    {"a subgraph as an attribute",
     [](onnx::ModelProto& m) {
       AddAttribute(m, onnx::AttributeProto::GRAPH)->mutable_g();
     },
     kUnimplemented, "subgraphs"},
    {"an attribute of a function",
     [](onnx::ModelProto& m) {
       AddAttribute(m, onnx::AttributeProto::INT)->set_ref_attr_name("a");
     },
     kUnimplemented, "functions"},
    {"an attribute without a type",
     [](onnx::ModelProto& m) {
       AddAttribute(m, onnx::AttributeProto::UNDEFINED);
     },
     kInvalid, "thing"},
    {"an attribute that stands twice",
     [](onnx::ModelProto& m) {
       AddAttribute(m, onnx::AttributeProto::INT);
       AddAttribute(m, onnx::AttributeProto::INT);
     },
     kInvalid, "stands twice"},
    {"an attribute tensor with too few bytes",
     [](onnx::ModelProto& m) {
       auto* t = AddAttribute(m, onnx::AttributeProto::TENSOR)->mutable_t();
       t->set_data_type(onnx::TensorProto::FLOAT);
       t->add_dims(9);
     },
     kInvalid, "holds 0 bytes"},
    {"a missing initialiser",
     [](onnx::ModelProto& m) { m.mutable_graph()->clear_initializer(); },
     kInvalid, "reads \"w\""},
    {"two initialisers of one name",
     [](onnx::ModelProto& m) {
       *m.mutable_graph()->add_initializer() = m.graph().initializer(0);
     },
     kInvalid, "\"w\""},
    {"an initialiser without a name",
     [](onnx::ModelProto& m) { Weights(m)->clear_name(); }, kInvalid,
     "no name"},
    {"two inputs of one name",
     [](onnx::ModelProto& m) {
       DeclareTensor("x", {1}, m.mutable_graph()->add_input());
     },
     kInvalid, "\"x\""},
    {"two nodes that make one value",
     [](onnx::ModelProto& m) { FirstNode(m)->set_output(0, "z"); }, kInvalid,
     "\"z\""},
    {"a node that makes an input",
     [](onnx::ModelProto& m) { FirstNode(m)->set_output(0, "x"); }, kInvalid,
     "\"x\""},
    {"a node that makes an initialiser",
     [](onnx::ModelProto& m) { FirstNode(m)->set_output(0, "w"); }, kInvalid,
     "\"w\""},
    {"a node that reads itself",
     [](onnx::ModelProto& m) { FirstNode(m)->set_input(0, "y"); }, kInvalid,
     "cycle"},
    {"a cycle of two nodes",
     [](onnx::ModelProto& m) { FirstNode(m)->set_input(0, "z"); }, kInvalid,
     "cycle"},
    {"a node without outputs",
     [](onnx::ModelProto& m) { AddNode(m.mutable_graph(), "Relu", {"x"}, {}); },
     kInvalid, "no outputs"},
    {"a value that nothing makes",
     [](onnx::ModelProto& m) { FirstNode(m)->set_input(0, "q"); }, kInvalid,
     "reads \"q\""},
    {"an output that nothing makes",
     [](onnx::ModelProto& m) {
       m.mutable_graph()->mutable_output(0)->set_name("q");
     },
     kInvalid, "\"q\""},
    {"no outputs",
     [](onnx::ModelProto& m) { m.mutable_graph()->clear_output(); }, kInvalid,
     "no outputs"},
    {"an input without a shape",
     [](onnx::ModelProto& m) {
       m.mutable_graph()
           ->mutable_input(0)
           ->mutable_type()
           ->mutable_tensor_type()
           ->clear_shape();
     },
     kInvalid, "declares no shape"},
    {"an input that is a sequence",
     [](onnx::ModelProto& m) {
       m.mutable_graph()
           ->mutable_input(0)
           ->mutable_type()
           ->mutable_sequence_type();
     },
     kUnimplemented, "not declared as a tensor"},
    {"an input of an unknown type",
     [](onnx::ModelProto& m) {
       m.mutable_graph()
           ->mutable_input(0)
           ->mutable_type()
           ->mutable_tensor_type()
           ->set_elem_type(99);
     },
     kUnimplemented, "data type 99"},
    {"an input with a huge dimension",
     [](onnx::ModelProto& m) {
       m.mutable_graph()
           ->mutable_input(0)
           ->mutable_type()
           ->mutable_tensor_type()
           ->mutable_shape()
           ->mutable_dim(1)
           ->set_dim_value(int64_t{1} << 40);
     },
     kInvalid, "2^31"},
    {"weights of strings",
     [](onnx::ModelProto& m) {
       Weights(m)->set_data_type(onnx::TensorProto::STRING);
     },
     kUnimplemented, "data type 8"},
    {"weights of no type",
     [](onnx::ModelProto& m) { Weights(m)->clear_data_type(); }, kUnimplemented,
     "data type 0"},
    {"weights with too few elements",
     [](onnx::ModelProto& m) {
       Weights(m)->mutable_float_data()->RemoveLast();
     },
     kInvalid, "declares 6 elements"},
    {"weights with too many elements",
     [](onnx::ModelProto& m) { Weights(m)->add_float_data(1); }, kInvalid,
     "declares 6 elements"},
    {"raw weights with too few bytes",
     [](onnx::ModelProto& m) {
       Weights(m)->clear_float_data();
       Weights(m)->set_raw_data(std::string(23, 'a'));
     },
     kInvalid, "holds 23 bytes"},
    {"weights with a negative dimension",
     [](onnx::ModelProto& m) { Weights(m)->set_dims(0, -2); }, kInvalid,
     "-2 is negative"},
    {"weights with dimensions that overflow",
     [](onnx::ModelProto& m) {
       Weights(m)->set_dims(0, std::numeric_limits<int64_t>::max());
       Weights(m)->set_dims(1, std::numeric_limits<int64_t>::max());
     },
     kInvalid, "2^31"},
    {"weights that claim a terabyte",
     [](onnx::ModelProto& m) { Weights(m)->set_dims(0, int64_t{1} << 36); },
     kInvalid, "2^31"},
    {"weights in another file",
     [](onnx::ModelProto& m) {
       Weights(m)->clear_float_data();
       Weights(m)->set_data_location(onnx::TensorProto::EXTERNAL);
       auto* entry = Weights(m)->add_external_data();
       entry->set_key("location");
       entry->set_value("../../etc/passwd");
     },
     kUnimplemented, "another file"},
    {"segmented weights",
     [](onnx::ModelProto& m) { Weights(m)->mutable_segment()->set_begin(0); },
     kUnimplemented, "segmented"},
    {"sparse weights",
     [](onnx::ModelProto& m) { m.mutable_graph()->add_sparse_initializer(); },
     kUnimplemented, "sparse"},
    {"a Constant without a value",
     [](onnx::ModelProto& m) {
       AddNode(m.mutable_graph(), "Constant", {}, {"c"});
     },
     kInvalid, "no value"},
    {"a Constant without an output",
     [](onnx::ModelProto& m) {
       AddNode(m.mutable_graph(), "Constant", {}, {});
     },
     kInvalid, "0 outputs"},
    {"a Constant of a string",
     [](onnx::ModelProto& m) {
       auto* attribute =
           AddNode(m.mutable_graph(), "Constant", {}, {"c"})->add_attribute();
       attribute->set_name("value_string");
       attribute->set_type(onnx::AttributeProto::STRING);
     },
     kUnimplemented, "strings"},
    {"a name that is not UTF-8",
     [](onnx::ModelProto& m) { FirstNode(m)->set_name("\xff\xfe"); }, kInvalid,
     "UTF-8"},
    {"a value name that is not UTF-8",
     [](onnx::ModelProto& m) { FirstNode(m)->set_output(0, "\xc0\xaf"); },
     kInvalid, "UTF-8"},
    {"a Cast to an unknown type",
     [](onnx::ModelProto& m) {
       m.mutable_graph()->mutable_node(1)->set_op_type("Cast");
     },
     kUnimplemented, "data type 0"},
};

TEST(ParseOnnx, RefusesWhatIsWrongAndSaysWhat) {
  for (const RejectedModel& rejected : kRejected) {
    onnx::ModelProto model = SmallModel();
    rejected.change(model);
    const auto graph = ParseOnnx(model.SerializeAsString());
    EXPECT_EQ(graph.status().code(), rejected.code)
        << rejected.what << ": " << graph.status();
    EXPECT_THAT(std::string(graph.status().message()),
                HasSubstr(rejected.message))
        << rejected.what;
  }
}

TEST(ParseOnnx, RefusesBytesThatAreNoModel) {
  for (const std::string& bytes :
       {std::string(), std::string("hello"), std::string(1000, '\0'),
        std::string(1000, '\xff'), std::string("\x08\x08", 2)}) {
    EXPECT_TRUE(absl::IsInvalidArgument(ParseOnnx(bytes).status()));
  }
}

TEST(ParseOnnx, NamesNodesByOperatorAndTopologicalIndex) {
  onnx::ModelProto model = SmallModel();
  model.mutable_graph()->mutable_node()->SwapElements(0, 1);
  model.mutable_graph()->mutable_node(0)->clear_name();
  model.mutable_graph()->mutable_node(1)->clear_name();
  const auto graph = ParseOnnx(model.SerializeAsString());
  ASSERT_TRUE(graph.ok()) << graph.status();
  EXPECT_EQ(graph->nodes()[0].name, "MatMul_0");
  EXPECT_EQ(graph->nodes()[1].name, "Relu_1");
}

TEST(ParseOnnx, MakesConstantNodesConstants) {
  onnx::ModelProto model = SmallModel();
  auto* attribute =
      AddNode(model.mutable_graph(), "Constant", {}, {"c"})->add_attribute();
  attribute->set_name("value_ints");
  attribute->set_type(onnx::AttributeProto::INTS);
  attribute->add_ints(4);
  const auto graph = ParseOnnx(model.SerializeAsString());
  ASSERT_TRUE(graph.ok()) << graph.status();
  EXPECT_EQ(graph->nodes().size(), 2u);
  const auto& values = graph->values();
  const auto c = std::find_if(values.begin(), values.end(),
                              [](const Value& v) { return v.name == "c"; });
  ASSERT_NE(c, values.end());
  EXPECT_THAT(c->constant->values<int64_t>(), testing::ElementsAre(4));
}

TEST(ParseOnnx, WidensHalfFloats) {
  onnx::ModelProto model = SmallModel();
  Weights(model)->clear_float_data();
  Weights(model)->set_data_type(onnx::TensorProto::FLOAT16);
  // 1, -2, 65504, smallest subnormal, infinity, 1/3 rounded.
  for (const int bits : {0x3c00, 0xc000, 0x7bff, 0x0001, 0x7c00, 0x3555}) {
    Weights(model)->add_int32_data(bits);
  }
  const auto graph = ParseOnnx(model.SerializeAsString());
  ASSERT_TRUE(graph.ok()) << graph.status();
  const Tensor& weights = *graph->value(0).constant;
  EXPECT_EQ(weights.type(), DataType::kFloat32);
  EXPECT_THAT(weights.values<float>(),
              testing::ElementsAre(1.0f, -2.0f, 65504.0f, 0x1p-24f,
                                   std::numeric_limits<float>::infinity(),
                                   0.333251953125f));
}

TEST(Bfloat16ToFloat, TakesTheUpperHalf) {
  EXPECT_EQ(Bfloat16ToFloat(0x3f80), 1.0f);
  EXPECT_EQ(Bfloat16ToFloat(0xc040), -3.0f);
  EXPECT_TRUE(std::isnan(Bfloat16ToFloat(0x7fc0)));
}

}  // namespace
}  // namespace lathe

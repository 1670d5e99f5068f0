#include "experiments/sample/glyph_network.h"

#include <onnx/onnx_pb.h>

#include <string>
#include <vector>

namespace lathe {
namespace {

torch::nn::Conv2d MakeConv(int in_channels, int out_channels, int kernel,
                           int stride) {
  return torch::nn::Conv2d(
      torch::nn::Conv2dOptions(in_channels, out_channels, kernel)
          .stride(stride)
          .padding(kernel / 2)
          .bias(false));
}

// Builds an onnx::GraphProto node by node.
class OnnxWriter {
 public:
  explicit OnnxWriter(onnx::GraphProto* graph) : graph_(graph) {}

  // Adds a node with one output, whose name it returns.
  std::string Node(const std::string& op, const std::string& name,
                   const std::vector<std::string>& inputs) {
    node_ = graph_->add_node();
    node_->set_op_type(op);
    node_->set_name(name);
    for (const std::string& input : inputs) node_->add_input(input);
    node_->add_output(name + "_out");
    return name + "_out";
  }
  void Ints(const std::string& key, const std::vector<int64_t>& values) {
    onnx::AttributeProto* attribute = node_->add_attribute();
    attribute->set_name(key);
    attribute->set_type(onnx::AttributeProto::INTS);
    for (const int64_t value : values) attribute->add_ints(value);
  }
  void Int(const std::string& key, int64_t value) {
    onnx::AttributeProto* attribute = node_->add_attribute();
    attribute->set_name(key);
    attribute->set_type(onnx::AttributeProto::INT);
    attribute->set_i(value);
  }
  std::string Weight(const std::string& name, const torch::Tensor& tensor) {
    const torch::Tensor dense = tensor.detach().to(torch::kFloat).contiguous();
    onnx::TensorProto* initializer = graph_->add_initializer();
    initializer->set_name(name);
    initializer->set_data_type(onnx::TensorProto::FLOAT);
    for (const int64_t size : dense.sizes()) initializer->add_dims(size);
    initializer->set_raw_data(dense.data_ptr<float>(),
                              dense.numel() * sizeof(float));
    return name;
  }

  std::string ConvBn(const std::string& name, torch::nn::Conv2d conv,
                     torch::nn::BatchNorm2d bn, const std::string& input) {
    const int64_t kernel = conv->weight.size(2);
    const int64_t stride = conv->options.stride()->at(0);
    const int64_t pad = kernel / 2;
    const std::string convolved =
        Node("Conv", name, {input, Weight(name + ".weight", conv->weight)});
    Ints("kernel_shape", {kernel, kernel});
    Ints("strides", {stride, stride});
    Ints("pads", {pad, pad, pad, pad});
    const std::string normed = name + ".bn";
    return Node("BatchNormalization", normed,
                {convolved, Weight(normed + ".scale", bn->weight),
                 Weight(normed + ".bias", bn->bias),
                 Weight(normed + ".mean", bn->running_mean),
                 Weight(normed + ".var", bn->running_var)});
  }

  std::string Block(const std::string& name, const ResidualBlockImpl& block,
                    const std::string& input) {
    std::string x = ConvBn(name + ".conv1", block.conv1, block.bn1, input);
    x = Node("Relu", name + ".relu1", {x});
    x = ConvBn(name + ".conv2", block.conv2, block.bn2, x);
    std::string shortcut = input;
    if (!block.conv_shortcut.is_empty()) {
      shortcut = ConvBn(name + ".shortcut", block.conv_shortcut,
                        block.bn_shortcut, input);
    }
    x = Node("Add", name + ".add", {x, shortcut});
    return Node("Relu", name + ".relu2", {x});
  }

 private:
  onnx::GraphProto* graph_;
  onnx::NodeProto* node_ = nullptr;
};

void DeclareValue(onnx::ValueInfoProto* value, const std::string& name,
                  const std::vector<int64_t>& sizes) {
  value->set_name(name);
  onnx::TypeProto::Tensor* type = value->mutable_type()->mutable_tensor_type();
  type->set_elem_type(onnx::TensorProto::FLOAT);
  type->mutable_shape()->add_dim()->set_dim_param("N");
  for (const int64_t size : sizes) {
    type->mutable_shape()->add_dim()->set_dim_value(size);
  }
}

}  // namespace

ResidualBlockImpl::ResidualBlockImpl(int in_channels, int out_channels,
                                     int stride) {
  conv1 =
      register_module("conv1", MakeConv(in_channels, out_channels, 3, stride));
  bn1 = register_module("bn1", torch::nn::BatchNorm2d(out_channels));
  conv2 = register_module("conv2", MakeConv(out_channels, out_channels, 3, 1));
  bn2 = register_module("bn2", torch::nn::BatchNorm2d(out_channels));
  if (in_channels == out_channels && stride == 1) return;
  conv_shortcut = register_module(
      "conv_shortcut", MakeConv(in_channels, out_channels, 1, stride));
  bn_shortcut =
      register_module("bn_shortcut", torch::nn::BatchNorm2d(out_channels));
}

torch::Tensor ResidualBlockImpl::forward(const torch::Tensor& x) {
  torch::Tensor y = torch::relu(bn1(conv1(x)));
  y = bn2(conv2(y));
  const torch::Tensor shortcut =
      conv_shortcut.is_empty() ? x : bn_shortcut(conv_shortcut(x));
  return torch::relu(y + shortcut);
}

GlyphNetworkImpl::GlyphNetworkImpl() {
  stem = register_module("stem", MakeConv(1, 16, 3, 1));
  stem_bn = register_module("stem_bn", torch::nn::BatchNorm2d(16));
  stage1 = register_module("stage1", ResidualBlock(16, 16, 1));
  stage2 = register_module("stage2", ResidualBlock(16, 32, 2));
  stage3 = register_module("stage3", ResidualBlock(32, 64, 2));
  classifier = register_module("classifier", torch::nn::Linear(64, 10));
}

torch::Tensor GlyphNetworkImpl::forward(const torch::Tensor& x) {
  torch::Tensor y = torch::relu(stem_bn(stem(x)));
  y = stage3(stage2(stage1(y)));
  return classifier(y.mean({2, 3}));
}

std::string ExportGlyphNetwork(GlyphNetwork network) {
  onnx::ModelProto model;
  model.set_ir_version(8);
  model.set_producer_name("lathe train-sample");
  model.add_opset_import()->set_version(13);
  onnx::GraphProto* graph = model.mutable_graph();
  graph->set_name("glyphnet");
  DeclareValue(graph->add_input(), "x", {1, 24, 24});
  OnnxWriter writer(graph);
  std::string x = writer.ConvBn("stem", network->stem, network->stem_bn, "x");
  x = writer.Node("Relu", "stem.relu", {x});
  x = writer.Block("stage1", *network->stage1, x);
  x = writer.Block("stage2", *network->stage2, x);
  x = writer.Block("stage3", *network->stage3, x);
  x = writer.Node("GlobalAveragePool", "pool", {x});
  x = writer.Node("Flatten", "flatten", {x});
  x = writer.Node(
      "Gemm", "classifier",
      {x, writer.Weight("classifier.weight", network->classifier->weight),
       writer.Weight("classifier.bias", network->classifier->bias)});
  writer.Int("transB", 1);
  DeclareValue(graph->add_output(), x, {10});
  std::string bytes;
  model.SerializeToString(&bytes);
  return bytes;
}

}  // namespace lathe

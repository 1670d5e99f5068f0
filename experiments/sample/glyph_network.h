// The sample network: a small residual CNN with batch norms.
#ifndef LATHE_EXPERIMENTS_SAMPLE_GLYPH_NETWORK_H_
#define LATHE_EXPERIMENTS_SAMPLE_GLYPH_NETWORK_H_

#include <torch/torch.h>

#include <string>

namespace lathe {

// conv3x3-bn -> relu -> conv3x3-bn + shortcut -> relu (He et al. 2016); the
// shortcut is a strided 1x1 convolution with batch norm where shapes change.
struct ResidualBlockImpl : torch::nn::Module {
  ResidualBlockImpl(int in_channels, int out_channels, int stride);
  torch::Tensor forward(const torch::Tensor& x);

  torch::nn::Conv2d conv1{nullptr}, conv2{nullptr}, conv_shortcut{nullptr};
  torch::nn::BatchNorm2d bn1{nullptr}, bn2{nullptr}, bn_shortcut{nullptr};
};
TORCH_MODULE(ResidualBlock);

// [N, 1, 24, 24] in 0..1 -> [N, 10] logits; 16, 16, 32, 64 channels.
struct GlyphNetworkImpl : torch::nn::Module {
  GlyphNetworkImpl();
  torch::Tensor forward(const torch::Tensor& x);

  torch::nn::Conv2d stem{nullptr};
  torch::nn::BatchNorm2d stem_bn{nullptr};
  ResidualBlock stage1{nullptr}, stage2{nullptr}, stage3{nullptr};
  torch::nn::Linear classifier{nullptr};
};
TORCH_MODULE(GlyphNetwork);

// The trained network as ONNX bytes (opset 13, batch norms kept, dynamic
// batch).
std::string ExportGlyphNetwork(GlyphNetwork network);

}  // namespace lathe

#endif  // LATHE_EXPERIMENTS_SAMPLE_GLYPH_NETWORK_H_

// Weights and biases of Conv, ConvTranspose and Gemm by channel. Private to the
// compressor.
#ifndef LATHE_COMPRESSOR_LAYER_WEIGHTS_H_
#define LATHE_COMPRESSOR_LAYER_WEIGHTS_H_

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "compressor/draft.h"
#include "compressor/graph.h"
#include "compressor/tensor.h"

namespace lathe {

// Output channels of a layer. REQUIRES: its weights are constant.
int64_t OutChannels(const Draft& draft, const Node& node);

// The output channel, and the input channel, that a weight belongs to.
int64_t OutChannelOf(const Node& node, const Shape& weights, int64_t element);
int64_t InChannelOf(const Node& node, const Shape& weights, int64_t element);

// The dimension of the weights that counts output channels, where one does.
std::optional<int64_t> ScaleAxis(const Node& node, const Shape& weights);

// f(element, value) of every element, rounded to float32 once.
Tensor MapValues(const Tensor& tensor,
                 const std::function<double(int64_t, double)>& f);

// `tensor` as one number for each of `channels` along dimension 1 of a value of
// `rank` dimensions; none when it varies along another, or adds dimensions.
std::optional<std::vector<double>> ChannelValues(const Tensor& tensor,
                                                 int64_t rank,
                                                 int64_t channels);

// Makes `tensor` the constant input of a node: in place when only this node
// reads the constant that is there, else as a new one called
// "<node><suffix>".
void SetConstant(Draft& draft, int index, int input, const std::string& suffix,
                 Tensor tensor);

}  // namespace lathe

#endif  // LATHE_COMPRESSOR_LAYER_WEIGHTS_H_

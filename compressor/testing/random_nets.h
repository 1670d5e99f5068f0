// Random small networks in which pruning has to find its way: residual
// additions, concatenations, depthwise convolutions, channel pads, gates,
// flattening into linear layers.
#ifndef LATHE_COMPRESSOR_TESTING_RANDOM_NETS_H_
#define LATHE_COMPRESSOR_TESTING_RANDOM_NETS_H_

#include <cstdint>
#include <utility>

#include "compressor/testing/net_builder.h"

namespace lathe {

// Where a random net stands while it grows.
struct RandomNetState {
  ValueId at = 0;
  int64_t channels = 0;
  int64_t size = 0;  // Height and width.
};

// Seeds of networks that have every kind of block among them, and are small: a
// test that compresses each of them many times takes seconds.
constexpr uint64_t kSmallNets[] = {0, 1, 3, 4, 5};

inline void GrowBlock(NetBuilder& net, RandomNetState& state) {
  TestRandom& random = net.random();
  const int64_t widths[] = {16, 24, 32};
  const int64_t width = widths[random.Below(3)];
  const ValueId in = state.at;
  switch (random.Below(7)) {
    case 0:  // Plain.
      state.at = net.Conv(in, state.channels, width, 3);
      net.Relu();
      state.channels = width;
      break;
    case 1: {  // Residual.
      const ValueId inner = net.Conv(in, state.channels, width, 3);
      net.Relu();
      state.at = net.Conv(inner, width, state.channels, 3);
      net.AddInto(in);
      net.Relu();
      break;
    }
    case 2: {  // Concatenation, one branch as it came.
      const ValueId a = net.Conv(in, state.channels, width, 1);
      net.Relu();
      const ValueId b = net.Conv(in, state.channels, 16, 3);
      state.at = net.Op("Concat", {a, in, b}, {{"axis", int64_t{1}}});
      state.channels += width + 16;
      break;
    }
    case 3:  // Depthwise and pointwise.
      state.at =
          net.Conv(in, state.channels, state.channels, 3, 1, state.channels);
      net.Relu();
      state.at = net.Conv(state.at, state.channels, width, 1);
      state.channels = width;
      break;
    case 4: {  // Shortcut of more channels by padding zeros.
      const ValueId inner = net.Conv(in, state.channels, 2 * state.channels, 3);
      const int64_t before = state.channels / 2;
      const ValueId padded = net.Op(
          "Pad",
          {in, net.Ints({0, before, 0, 0, 0, state.channels - before, 0, 0})});
      state.at = net.Op("Add", {inner, padded});
      state.channels *= 2;
      break;
    }
    case 5: {  // A gate per channel.
      const ValueId pooled = net.Op("GlobalAveragePool", {in});
      const ValueId squeezed = net.Conv(pooled, state.channels, 16, 1);
      net.Relu();
      const ValueId gate = net.Conv(squeezed, 16, state.channels, 1);
      state.at = net.Op("Mul", {in, net.Op("Sigmoid", {gate})});
      break;
    }
    default:  // Scaled by constants, then pooled if there is room.
      state.at =
          net.Op("Mul", {in, net.Random({1, state.channels, 1, 1}, 1.0f)});
      if (state.size >= 4) {
        state.at = net.Op("MaxPool", {state.at},
                          {{"kernel_shape", std::vector<int64_t>{2, 2}},
                           {"strides", std::vector<int64_t>{2, 2}}});
        state.size /= 2;
      }
  }
}

// A network of [?, 3, 8, 8] inputs and 5 outputs.
inline Graph RandomNet(uint64_t seed) {
  NetBuilder net(seed);
  RandomNetState state{net.Input({kDynamic, 3, 8, 8}), 16, 8};
  state.at = net.Conv(state.at, 3, 16, 3);
  net.Relu();
  const int64_t blocks = 2 + net.random().Below(3);
  for (int64_t i = 0; i < blocks && state.channels < 100; ++i) {
    GrowBlock(net, state);
  }
  int64_t features = state.channels * state.size * state.size;
  ValueId flat = state.at;
  switch (net.random().Below(4)) {
    case 0:
      flat = net.Op("Flatten", {flat});
      break;
    case 1:
      flat = net.Op("Reshape", {flat, net.Ints({-1, features})});
      break;
    case 2:
      flat = net.Op("Reshape", {flat, net.Ints({0, -1})});
      break;
    default:
      flat = net.Op(
          "ReduceMean", {flat},
          {{"axes", std::vector<int64_t>{2, 3}}, {"keepdims", int64_t{0}}});
      features = state.channels;
  }
  ValueId hidden = net.Gemm(flat, features, 16, net.random().Below(2) == 1);
  net.Relu();
  if (net.random().Below(2) == 1) {
    hidden = net.Op("MatMul", {hidden, net.Random({16, 16}, 0.3f)});
  }
  return net.Build({net.Gemm(hidden, 16, 5, /*is_transposed=*/true)});
}

}  // namespace lathe

#endif  // LATHE_COMPRESSOR_TESTING_RANDOM_NETS_H_

// What a model may ask for. Files come from strangers, so that everything a
// file can make large is bounded here; docs/operators.md repeats the figures.
#ifndef LATHE_COMPRESSOR_LIMITS_H_
#define LATHE_COMPRESSOR_LIMITS_H_

#include <cstdint>

namespace lathe {

// A protobuf's own limit.
constexpr int64_t kMostModelBytes = INT32_MAX;

// A hundred times the nodes of the largest networks seen; passes that take
// quadratic time in the worst case (a hundred thousand readers of one value)
// still end within seconds.
constexpr int64_t kMostNodes = 1 << 17;

// oneDNN knows 12 dimensions, ONNX's own tests use up to 7; shape arithmetic
// may need some more.
constexpr int64_t kMostRank = 32;

// Of one value, computed or constant: ONNX's sizes are 32 bits wide in many
// tools, and 2^31 floats are 8 GB.
constexpr int64_t kMostElements = int64_t{1} << 31;

// Strides, dilations, pads and kernel sizes of a window: products of two of
// them must fit 64 bits.
constexpr int64_t kMostWindowSize = int64_t{1} << 31;

// Positions of a pooling window, which may lie in the padding: a thousand times
// the largest seen.
constexpr int64_t kMostWindowPositions = int64_t{1} << 26;

// Folding constants may make so many bytes in all: the network's own constants
// a few times over (transposed, widened), and a fixed part for what shapes
// make. Beyond it nodes stay in the network. A pass over a network that was
// made to waste time then takes about a second.
constexpr int64_t kFoldedBytesPerConstantByte = 8;
constexpr int64_t kLeastFoldedBytes = int64_t{64} << 20;

// Multiplications that folding heavy operators (Conv, MatMul, LSTM, ...) may
// take in all: a fraction of a second.
constexpr int64_t kMostFoldedWork = int64_t{1} << 27;

// Share of the machine's memory that one compiled network may take, unless
// its ExecutorOptions say otherwise.
constexpr double kExecutorMemoryRatio = 0.5;

}  // namespace lathe

#endif  // LATHE_COMPRESSOR_LIMITS_H_

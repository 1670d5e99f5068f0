// oneDNN's primitives with what is fused into them, in terms that hold for 2.x
// and 3.x alike (see onednn_version.h).
#ifndef LATHE_EVALUATOR_ONEDNN_ADAPTER_H_
#define LATHE_EVALUATOR_ONEDNN_ADAPTER_H_

#include <cstdint>
#include <string>
#include <unordered_map>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "compressor/tensor.h"
#include "evaluator/onednn_layout.h"
#include "oneapi/dnnl/dnnl.hpp"

namespace lathe {

// What happens to a result before it is stored.
struct FusedOp {
  enum class Kind {
    // + scale * what stands in the destination, read as `type`.
    kSum,
    kEltwise,
    // + the value of a further source, broadcast.
    kBinaryAdd,
  };
  Kind kind = Kind::kEltwise;
  float scale = 1;
  DataType type = DataType::kFloat32;
  dnnl::algorithm algorithm = dnnl::algorithm::undef;
  float alpha = 0;
  float beta = 0;
  MemoryDesc desc;
};

struct Attributes {
  // What accumulators are multiplied with: none, one, or one per output
  // channel.
  std::vector<float> scales;
  // Zero point of 8-bit sources.
  int source_zero_point = 0;
  std::vector<FusedOp> ops;
};

// A constant that the primitive wants as an argument when it runs.
struct ConstantArgument {
  int argument = 0;
  MemoryDesc desc;
  std::string bytes;
};

// A primitive with the layouts it chose; those it has no use for are empty.
struct Kernel {
  dnnl::primitive primitive;
  MemoryDesc source;
  MemoryDesc second_source;
  MemoryDesc weights;
  // Of recurrent kernels: what states are multiplied with.
  MemoryDesc recurrence;
  MemoryDesc destination;
  MemoryDesc scratchpad;
  std::vector<ConstantArgument> constants;
  // oneDNN's name of the implementation.
  std::string implementation;
};

// Whether oneDNN's name of an implementation says that it is its plain, slow
// one.
bool IsReferenceImplementation(absl::string_view implementation);

// Argument of the second input of fused op `index`.
int FusedOpArgument(int index);

// result = scales * accumulator + bias, then the fused ops. The bias, float32
// [channels], is to be passed as PreparedBias(bias, scales).
struct ConvolutionSpec {
  MemoryDesc source;
  MemoryDesc weights;
  MemoryDesc destination;
  bool has_bias = false;
  std::vector<int64_t> strides;
  // 1 is dense, as in ONNX.
  std::vector<int64_t> dilations;
  std::vector<int64_t> pads_begin;
  std::vector<int64_t> pads_end;
};
absl::StatusOr<Kernel> MakeConvolution(const ConvolutionSpec& spec,
                                       const Attributes& attributes);
// By every implementation for the instruction set of the library's preferred
// one that takes source and destination in the same layouts; the preferred one
// first. The layouts of weights may differ.
absl::StatusOr<std::vector<Kernel>> MakeConvolutions(
    const ConvolutionSpec& spec, const Attributes& attributes);

// The transpose of a convolution, in float32: `source` is spread over
// `destination`. Weights are [groups,] out, in, kernel..., as for convolutions.
absl::StatusOr<Kernel> MakeDeconvolution(const ConvolutionSpec& spec,
                                         const Attributes& attributes);

struct InnerProductSpec {
  MemoryDesc source;
  MemoryDesc weights;
  MemoryDesc destination;
  bool has_bias = false;
};
absl::StatusOr<Kernel> MakeInnerProduct(const InnerProductSpec& spec,
                                        const Attributes& attributes);
std::vector<float> PreparedBias(std::vector<float> bias,
                                absl::Span<const float> scales);

// `weights` is the second matrix (argument DNNL_ARG_WEIGHTS).
absl::StatusOr<Kernel> MakeMatMul(const MemoryDesc& source,
                                  const MemoryDesc& weights,
                                  const MemoryDesc& destination,
                                  absl::Span<const FusedOp> ops);

struct PoolingSpec {
  dnnl::algorithm algorithm = dnnl::algorithm::pooling_max;
  MemoryDesc source;
  MemoryDesc destination;
  std::vector<int64_t> kernel;
  std::vector<int64_t> strides;
  // 1 is dense, as in ONNX.
  std::vector<int64_t> dilations;
  std::vector<int64_t> pads_begin;
  std::vector<int64_t> pads_end;
};
absl::StatusOr<Kernel> MakePooling(const PoolingSpec& spec);

absl::StatusOr<Kernel> MakeEltwise(const FusedOp& op, const MemoryDesc& desc);
// x < 0 ? slope * x : x; `slopes` (DNNL_ARG_WEIGHTS) are broadcast.
absl::StatusOr<Kernel> MakePRelu(const MemoryDesc& desc,
                                 const MemoryDesc& slopes);
// x / (bias + alpha / size * sum of squares of `size` channels around)^beta.
// REQUIRES: `size` is odd.
struct ResponseNormSpec {
  MemoryDesc desc;
  int64_t size = 5;
  float alpha = 1e-4f;
  float beta = 0.75f;
  float bias = 1;
};
absl::StatusOr<Kernel> MakeResponseNormalization(const ResponseNormSpec& spec);
absl::StatusOr<Kernel> MakeSoftmax(const MemoryDesc& desc, int axis,
                                   bool is_log);
// Over the last dimension, with scale (DNNL_ARG_SCALE) and shift
// (DNNL_ARG_SHIFT), both float32.
absl::StatusOr<Kernel> MakeLayerNormalization(const MemoryDesc& desc,
                                              float epsilon);

// One recurrent layer in float32. `source` is [steps, batch, inputs],
// `destination` [steps, batch, directions * hidden], both row-major. Weights
// are [1, directions, inputs or hidden, gates, hidden], the bias [1,
// directions, gates (one more for kLinearBeforeResetGru), hidden], states [1,
// directions, batch, hidden]. Gates: LSTM input, forget, candidate, output; GRU
// update, reset, candidate.
struct RecurrentSpec {
  enum class Cell { kLstm, kGru, kLinearBeforeResetGru };
  Cell cell = Cell::kLstm;
  dnnl::rnn_direction direction =
      dnnl::rnn_direction::unidirectional_left2right;
  MemoryDesc source;
  MemoryDesc weights;
  MemoryDesc recurrence;
  MemoryDesc bias;
  MemoryDesc destination;
  // Before the first step and after the last, of all directions; `first_state`
  // and `first_cell` are empty where they are zeros. Cells: LSTM only.
  MemoryDesc first_state;
  MemoryDesc first_cell;
  MemoryDesc last_state;
  MemoryDesc last_cell;
};
absl::StatusOr<Kernel> MakeRecurrent(const RecurrentSpec& spec);

struct BinarySpec {
  dnnl::algorithm algorithm = dnnl::algorithm::binary_add;
  MemoryDesc source;
  MemoryDesc second_source;
  MemoryDesc destination;
  // What the elements of each source are multiplied with.
  float source_scale = 1;
  float second_source_scale = 1;
};
absl::StatusOr<Kernel> MakeBinary(const BinarySpec& spec,
                                  absl::Span<const FusedOp> ops);

// destination = scale * source. Zero points are not for oneDNN: the reorders of
// 2.6 get them wrong between layouts of which one has gaps.
struct ReorderSpec {
  MemoryDesc source;
  MemoryDesc destination;
  float scale = 1;
};
absl::StatusOr<Kernel> MakeReorder(const ReorderSpec& spec);

using Arguments = std::unordered_map<int, dnnl::memory>;
// Scratchpad and constants of `kernel`, which must outlive them.
Arguments OwnArguments(const Kernel& kernel);
// The same at once, for constants.
absl::Status ReorderNow(const ReorderSpec& spec, const void* source,
                        void* destination);

// ------------------------------------------------------------------- library

// "2.6.3".
std::string OneDnnVersion();
// What oneDNN may use of the machine: less than cpuid tells where the user set
// ONEDNN_MAX_CPU_ISA.
struct OneDnnIsa {
  // oneDNN's name of the widest set, for instance "avx512_core_amx".
  std::string name;
  // 8-bit products summed in 32 bits. Without, u8 x s8 kernels sum pairs of
  // products in 16 bits, which saturate.
  bool has_vnni = false;
  bool has_bf16 = false;
  bool has_amx = false;
};
OneDnnIsa EffectiveIsa();
// Primitives that oneDNN keeps for equal requests.
void SetPrimitiveCacheCapacity(int capacity);

}  // namespace lathe

#endif  // LATHE_EVALUATOR_ONEDNN_ADAPTER_H_

// The only place that knows which major version of oneDNN it is compiled with:
// layouts, and primitives with what is fused into them, in terms that hold for
// 2.x and 3.x alike. Exceptions of oneDNN become absl::Status here.
#ifndef LATHE_EVALUATOR_ONEDNN_ADAPTER_H_
#define LATHE_EVALUATOR_ONEDNN_ADAPTER_H_

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "compressor/tensor.h"
#include "oneapi/dnnl/dnnl.hpp"

namespace lathe {

using MemoryDesc = dnnl::memory::desc;

// Runs `body`, in which oneDNN may throw; the one place where its exceptions
// end. `what` stands before the message.
absl::Status GuardOneDnn(absl::string_view what,
                         const std::function<void()>& body);

// ------------------------------------------------------------------- layouts

// oneDNN's CPU engine, one for the process.
const dnnl::engine& CpuEngine();

// REQUIRES: type is float32, bfloat16, uint8, int8 or int32.
dnnl::memory::data_type ToDnnlType(DataType type);

// Row-major. A scalar stands as [1]. REQUIRES: no dimension is 0.
MemoryDesc PlainDesc(absl::Span<const int64_t> shape, DataType type);
// The layout is left to the primitive.
MemoryDesc AnyDesc(absl::Span<const int64_t> shape, DataType type);
// Strides in elements.
MemoryDesc StridedDesc(absl::Span<const int64_t> shape,
                       absl::Span<const int64_t> strides, DataType type);
// Channels (dimension 1) innermost; row-major for other than 3-5 dimensions.
MemoryDesc ChannelsLastDesc(absl::Span<const int64_t> shape, DataType type);
// Blocks of `channel_block` (8 or 16) channels, in 3-5 dimensions.
MemoryDesc BlockedDesc(absl::Span<const int64_t> shape, int64_t channel_block,
                       DataType type);
// The region of `whole` that starts at `offsets`.
//
// Errors: Unimplemented, InvalidArgument - the region cuts a block.
absl::StatusOr<MemoryDesc> RegionDesc(const MemoryDesc& whole,
                                      absl::Span<const int64_t> shape,
                                      absl::Span<const int64_t> offsets);
// The same layout for elements of `type`.
//
// Errors: Unimplemented - a layout that cannot be restated.
absl::StatusOr<MemoryDesc> WithType(const MemoryDesc& desc, DataType type);

int64_t DescBytes(const MemoryDesc& desc);
std::vector<int64_t> DescDims(const MemoryDesc& desc);

// A layout in plain words: the element at `index` lies at the sum of
// index[d] * strides[d], where for dimension 1 (c) the term is
// (c / channel_block) * strides[1] + c % channel_block.
struct Layout {
  std::vector<int64_t> dims;
  std::vector<int64_t> strides;
  int64_t channel_block = 1;
};
// None where the layout is blocked in another way, or padded at the front.
std::optional<Layout> DescribeLayout(const MemoryDesc& desc);

// ---------------------------------------------------------------- primitives

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
                                  const MemoryDesc& destination);

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
absl::StatusOr<Kernel> MakeSoftmax(const MemoryDesc& desc, int axis,
                                   bool is_log);
// Over the last dimension, with scale (DNNL_ARG_SCALE) and shift
// (DNNL_ARG_SHIFT), both float32.
absl::StatusOr<Kernel> MakeLayerNormalization(const MemoryDesc& desc,
                                              float epsilon);

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

// destination = scale * (source - source_zero_point) + destination_zero_point.
struct ReorderSpec {
  MemoryDesc source;
  MemoryDesc destination;
  float scale = 1;
  int source_zero_point = 0;
  int destination_zero_point = 0;
};
absl::StatusOr<Kernel> MakeReorder(const ReorderSpec& spec);

// Runs a reorder at once, for constants.
absl::Status ReorderNow(const Kernel& reorder, const void* source,
                        void* destination);

// ------------------------------------------------------------------- library

// "2.6.3".
std::string OneDnnVersion();
// Widest ISA in use, for instance "avx512_core_amx".
std::string OneDnnIsa();
// Primitives that oneDNN keeps for equal requests.
void SetPrimitiveCacheCapacity(int capacity);

}  // namespace lathe

#endif  // LATHE_EVALUATOR_ONEDNN_ADAPTER_H_

// Attention: a product, softmax, and another product.
#include <cmath>
#include <cstdint>
#include <limits>
#include <optional>
#include <utility>
#include <vector>

#include "base/status.h"
#include "evaluator/activations.h"
#include "evaluator/lower_ops.h"
#include "evaluator/vector_loops.h"

namespace lathe {
namespace {

enum Input { kQuery, kKey, kValue, kMask };

// Queries, keys or values as [batch, heads, rows, width], and how far heads and
// rows are apart.
struct HeadsView {
  int64_t batch = 0;
  int64_t heads = 0;
  int64_t rows = 0;
  int64_t width = 0;
  int64_t head_stride = 0;
  int64_t row_stride = 0;

  int64_t BatchStride() const { return heads * rows * width; }
};

// Row-major values of four dimensions, or of three with heads side by side.
HeadsView ViewOf(const Shape& shape, int64_t heads) {
  HeadsView v;
  v.batch = shape[0];
  if (shape.size() == 4) {
    v.heads = shape[1];
    v.rows = shape[2];
    v.width = shape[3];
    v.row_stride = v.width;
    v.head_stride = v.rows * v.width;
  } else {
    v.heads = heads;
    v.rows = shape[1];
    v.width = shape[2] / heads;
    v.row_stride = shape[2];
    v.head_stride = v.width;
  }
  return v;
}

// Adds to scores what hides keys, and takes the softmax of each row.
struct MaskedSoftmax {
  int64_t batch = 1;
  int64_t heads = 1;
  int64_t queries = 1;
  int64_t keys = 1;
  bool is_causal = false;
  std::optional<DataType> mask;
  // Elements of the mask between batches, heads, queries and keys.
  std::vector<int64_t> steps = {0, 0, 0, 0};

  // Operands: scores, mask if there is one.
  absl::Status operator()(absl::Span<char* const> operands) const {
    auto* scores = reinterpret_cast<float*>(operands[0]);
    for (int64_t row = 0; row < batch * heads * queries; ++row) {
      float* to = scores + row * keys;
      const int64_t query = row % queries;
      if (mask) {
        AddMask(operands[1],
                row / queries / heads * steps[0] +
                    row / queries % heads * steps[1] + query * steps[2],
                to);
      }
      for (int64_t key = query + 1; is_causal && key < keys; ++key) {
        to[key] = kHidden;
      }
    }
    SoftmaxRows(scores, batch * heads * queries, keys, scores);
    return absl::OkStatus();
  }

 private:
  static constexpr float kHidden = -std::numeric_limits<float>::infinity();

  void AddMask(const char* bytes, int64_t first, float* to) const {
    if (mask == DataType::kFloat32) {
      const float* numbers = reinterpret_cast<const float*>(bytes) + first;
      for (int64_t k = 0; k < keys; ++k) to[k] += numbers[k * steps[3]];
      return;
    }
    for (int64_t k = 0; k < keys; ++k) {
      if (bytes[first + k * steps[3]] == 0) to[k] = kHidden;
    }
  }
};

class AttentionLowering {
 public:
  AttentionLowering(LoweringContext& context, const Node& node)
      : context_(context), node_(node) {
    query_ = ViewOf(context.shape(node.inputs[kQuery]),
                    node.IntOr("q_num_heads", 1));
    const int64_t key_heads = node.IntOr("kv_num_heads", 1);
    key_ = ViewOf(context.shape(node.inputs[kKey]), key_heads);
    value_ = ViewOf(context.shape(node.inputs[kValue]), key_heads);
    softmax_.batch = query_.batch;
    softmax_.heads = query_.heads;
    softmax_.queries = query_.rows;
    softmax_.keys = key_.rows;
    softmax_.is_causal = node.IntOr("is_causal", 0) != 0;
  }

  absl::StatusOr<bool> Run() {
    if (!ReadMask()) return false;
    const HeadsView scores_view = PlainView(key_.rows);
    const MemoryDesc scores_desc = Factor(scores_view);
    const bool is_packed = context_.shape(node_.inputs[kQuery]).size() == 3;
    HeadsView out = PlainView(value_.width);
    if (is_packed) {
      out.row_stride = query_.heads * value_.width;
      out.head_stride = value_.width;
    }
    const float scale = node_.FloatOr(
        "scale",
        static_cast<float>(1 / std::sqrt(static_cast<double>(query_.width))));
    const auto first =
        MakeMatMul(Factor(query_), Factor(key_, /*is_transposed=*/true),
                   scores_desc, {LinearOp(scale, 0)});
    const auto second =
        MakeMatMul(scores_desc, Factor(value_), Factor(out), {});
    if (!first.ok() || !second.ok() ||
        IsReferenceImplementation(first->implementation) ||
        IsReferenceImplementation(second->implementation)) {
      return false;
    }
    const Copy scores = context_.NewCopy(FloatEncoding(), scores_desc);
    LATHE_RETURN_IF_ERROR(AddProduct(*first, kQuery, kKey, scores));
    LATHE_RETURN_IF_ERROR(AddSoftmax(scores));
    LATHE_ASSIGN_OR_RETURN(const Copy values,
                           context_.FetchPlain(node_.inputs[kValue]));
    const Copy result = context_.NewRawCopy(node_.outputs[0]);
    LATHE_RETURN_IF_ERROR(context_.AddKernel(
        "matmul", *second,
        {Reads(DNNL_ARG_SRC, scores, second->source),
         Reads(DNNL_ARG_WEIGHTS, values, second->weights),
         Writes(DNNL_ARG_DST, result, second->destination)}));
    context_.Define(node_.outputs[0], result);
    return true;
  }

 private:
  // Of the queries' rows with `width` numbers each, row-major.
  HeadsView PlainView(int64_t width) const {
    return ViewOf({query_.batch, query_.heads, query_.rows, width},
                  query_.heads);
  }

  // As a factor of [batch, key heads, queries' heads for each, rows, width];
  // keys and values have one for all of those.
  MemoryDesc Factor(const HeadsView& v, bool is_transposed = false) const {
    const int64_t shared = v.heads / key_.heads;
    Shape shape = {v.batch, key_.heads, shared, v.rows, v.width};
    std::vector<int64_t> strides = {v.BatchStride(), shared * v.head_stride,
                                    v.head_stride, v.row_stride, 1};
    if (query_.heads == key_.heads) {
      // Kernels take more layouts of four dimensions.
      shape.erase(shape.begin() + 2);
      strides.erase(strides.begin() + 2);
    }
    if (is_transposed) {
      std::swap(shape.back(), shape[shape.size() - 2]);
      std::swap(strides.back(), strides[strides.size() - 2]);
    }
    return StridedDesc(shape, strides, DataType::kFloat32);
  }

  // False where the mask covers the first keys alone.
  bool ReadMask() {
    if (node_.inputs.size() <= kMask || node_.inputs[kMask] == kNoValue) {
      return true;
    }
    const ValueId value = node_.inputs[kMask];
    const Shape& shape = context_.shape(value);
    if (!shape.empty() && shape.back() != 1 && shape.back() != key_.rows) {
      return false;
    }
    softmax_.mask = context_.type(value);
    int64_t step = 1;
    for (size_t i = 0; i < shape.size(); ++i) {
      const size_t from_end = shape.size() - 1 - i;
      if (shape[from_end] != 1) softmax_.steps[3 - i] = step;
      step *= shape[from_end];
    }
    return true;
  }

  absl::Status AddProduct(const Kernel& kernel, Input a, Input b,
                          const Copy& to) {
    LATHE_ASSIGN_OR_RETURN(const Copy left,
                           context_.FetchPlain(node_.inputs[a]));
    LATHE_ASSIGN_OR_RETURN(const Copy right,
                           context_.FetchPlain(node_.inputs[b]));
    return context_.AddKernel("matmul", kernel,
                              {Reads(DNNL_ARG_SRC, left, kernel.source),
                               Reads(DNNL_ARG_WEIGHTS, right, kernel.weights),
                               Writes(DNNL_ARG_DST, to, kernel.destination)});
  }

  absl::Status AddSoftmax(const Copy& scores) {
    std::vector<Operand> operands = {Writes(scores)};
    if (softmax_.mask) {
      LATHE_ASSIGN_OR_RETURN(const Copy mask,
                             context_.FetchPlain(node_.inputs[kMask]));
      operands.push_back(Reads(mask));
    }
    context_.AddLoop("softmax", VectorLoopIsa(), std::move(operands), softmax_);
    return absl::OkStatus();
  }

  LoweringContext& context_;
  const Node& node_;
  HeadsView query_;
  HeadsView key_;
  HeadsView value_;
  MaskedSoftmax softmax_;
};

}  // namespace

absl::StatusOr<bool> LowerAttention(LoweringContext& context,
                                    const Node& node) {
  // What was before, and keys counted at run time, are for the reference.
  for (size_t i = kMask + 1; i < node.inputs.size(); ++i) {
    if (node.inputs[i] != kNoValue) return false;
  }
  if (!node.post_ops.empty() || node.FloatOr("softcap", 0) != 0) return false;
  return AttentionLowering(context, node).Run();
}

}  // namespace lathe

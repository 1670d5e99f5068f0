// Attention and RotaryEmbedding, of opset 23 on.
#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "compressor/op_shapes.h"
#include "compressor/operator_def.h"

namespace lathe {
namespace {

using Values = std::vector<OpValue>;
using Tensors = std::vector<Tensor>;

// ---------------------------------------------------------------- Attention

enum AttentionInput {
  kQuery,
  kKey,
  kValue,
  kMask,
  kPastKey,
  kPastValue,
  kKeyLengths
};

// Queries, keys or values as [batch, heads, rows, width].
struct Heads {
  int64_t batch = 0;
  int64_t heads = 0;
  int64_t rows = 0;
  int64_t width = 0;
};

absl::StatusOr<Heads> HeadsOf(const OpCall& call, int input,
                              const char* attribute) {
  const Shape& shape = call.ShapeOf(input);
  if (shape.size() == 4) return Heads{shape[0], shape[1], shape[2], shape[3]};
  const int64_t heads = call.node().IntOr(attribute, 0);
  if (shape.size() != 3 || heads < 1 || shape[2] % heads != 0) {
    return call.Invalid(absl::StrCat("input ", input, " of shape ",
                                     ShapeToString(shape), " with ", attribute,
                                     " = ", heads));
  }
  return Heads{shape[0], heads, shape[1], shape[2] / heads};
}

struct AttentionPlan {
  Heads query;
  Heads key;
  Heads value;
  // Rows of keys that come before those of this call.
  int64_t past = 0;

  int64_t Keys() const { return past + key.rows; }
};

absl::Status CheckPast(const OpCall& call, int input, const Heads& heads,
                       int64_t past) {
  const Shape fits = {heads.batch, heads.heads, past, heads.width};
  if (call.ShapeOf(input) == fits) return absl::OkStatus();
  return call.Invalid(absl::StrCat("input ", input, " of shape ",
                                   ShapeToString(call.ShapeOf(input)), ", not ",
                                   ShapeToString(fits)));
}

absl::Status CheckMask(const OpCall& call, const AttentionPlan& plan) {
  if (call.TypeOf(kMask) != DataType::kFloat32 &&
      call.TypeOf(kMask) != DataType::kBool) {
    return call.Unsupported(absl::StrCat("attn_mask is ",
                                         DataTypeName(call.TypeOf(kMask)),
                                         ", only float32 and bool do"));
  }
  Shape mask = call.ShapeOf(kMask);
  const Shape scores = {plan.query.batch, plan.query.heads, plan.query.rows,
                        plan.Keys()};
  // A mask may cover the first keys alone.
  if (!mask.empty() && mask.back() > 1 && mask.back() < plan.Keys()) {
    mask.back() = plan.Keys();
  }
  LATHE_ASSIGN_OR_RETURN(const Shape common,
                         BroadcastShapes(call, mask, scores));
  if (common == scores) return absl::OkStatus();
  return call.Invalid(
      absl::StrCat("attn_mask of shape ", ShapeToString(call.ShapeOf(kMask)),
                   " does not fit scores ", ShapeToString(scores)));
}

absl::StatusOr<AttentionPlan> ResolveAttention(const OpCall& call) {
  AttentionPlan plan;
  LATHE_ASSIGN_OR_RETURN(plan.query, HeadsOf(call, kQuery, "q_num_heads"));
  LATHE_ASSIGN_OR_RETURN(plan.key, HeadsOf(call, kKey, "kv_num_heads"));
  LATHE_ASSIGN_OR_RETURN(plan.value, HeadsOf(call, kValue, "kv_num_heads"));
  const Heads& q = plan.query;
  const Heads& k = plan.key;
  const Heads& v = plan.value;
  if (q.batch != k.batch || q.batch != v.batch || k.heads != v.heads ||
      k.rows != v.rows || q.width != k.width || k.heads < 1 ||
      q.heads % k.heads != 0) {
    return call.Invalid(
        absl::StrCat("queries ", ShapeToString(call.ShapeOf(kQuery)), ", keys ",
                     ShapeToString(call.ShapeOf(kKey)), " and values ",
                     ShapeToString(call.ShapeOf(kValue)), " do not fit"));
  }
  if (call.Has(kPastKey) != call.Has(kPastValue)) {
    return call.Invalid("past_key and past_value come together");
  }
  if (call.Has(kPastKey)) {
    if (call.Rank(kPastKey) == 4) plan.past = call.ShapeOf(kPastKey)[2];
    LATHE_RETURN_IF_ERROR(CheckPast(call, kPastKey, k, plan.past));
    LATHE_RETURN_IF_ERROR(CheckPast(call, kPastValue, v, plan.past));
  }
  if (call.Has(kMask)) LATHE_RETURN_IF_ERROR(CheckMask(call, plan));
  if (call.Has(kKeyLengths) && (call.TypeOf(kKeyLengths) != DataType::kInt64 ||
                                call.ShapeOf(kKeyLengths) != Shape{q.batch})) {
    return call.Invalid("nonpad_kv_seqlen is not one int64 for each sample");
  }
  return plan;
}

absl::StatusOr<Values> AttentionRule(const OpCall& call) {
  for (const int i : {kQuery, kKey, kValue, kPastKey, kPastValue}) {
    if (!call.Has(i) || call.TypeOf(i) == DataType::kFloat32) continue;
    return call.Unsupported(absl::StrCat("input ", i, " is ",
                                         DataTypeName(call.TypeOf(i)),
                                         ", only float32 is supported"));
  }
  LATHE_ASSIGN_OR_RETURN(const AttentionPlan plan, ResolveAttention(call));
  const Heads& q = plan.query;
  Shape out = {q.batch, q.heads, q.rows, plan.value.width};
  if (call.Rank(kQuery) == 3) {
    out = {q.batch, q.rows, q.heads * plan.value.width};
  }
  const auto present = [&](const Heads& heads) {
    return Shape{heads.batch, heads.heads, plan.Keys(), heads.width};
  };
  constexpr DataType kFloat = DataType::kFloat32;
  return Values{{kFloat, out},
                {kFloat, present(plan.key)},
                {kFloat, present(plan.value)},
                {kFloat, {q.batch, q.heads, q.rows, plan.Keys()}}};
}

// [batch, heads, rows, width] of a tensor that has three dimensions or four.
std::vector<float> HeadsFirst(absl::Span<const float> in, const Heads& heads,
                              bool is_packed) {
  if (!is_packed) return std::vector<float>(in.begin(), in.end());
  std::vector<float> out(in.size());
  const int64_t row = heads.heads * heads.width;
  WalkStrided<1>(
      {heads.batch, heads.heads, heads.rows, heads.width},
      {std::vector<int64_t>{heads.rows * row, heads.width, row, 1}},
      [&](int64_t i, const std::array<int64_t, 1>& at) { out[i] = in[at[0]]; });
  return out;
}

// The rows of the past, then those of this call, head by head.
Tensor Present(const OpCall& call, int input, int past_input,
               const Heads& heads, const OpValue& output) {
  const std::vector<float> now =
      HeadsFirst(call.ValuesOf<float>(input), heads, call.Rank(input) == 3);
  TensorBuilder<float> out(output);
  float* next = out.data();
  const int64_t block = heads.rows * heads.width;
  const int64_t past_block = output.shape[2] * heads.width - block;
  for (int64_t h = 0; h < heads.batch * heads.heads; ++h) {
    if (past_block > 0) {
      const float* past =
          call.ValuesOf<float>(past_input).data() + h * past_block;
      next = std::copy(past, past + past_block, next);
    }
    next =
        std::copy(now.data() + h * block, now.data() + (h + 1) * block, next);
  }
  return std::move(out).Build();
}

// What is added to the scores, as [batch, heads, queries, keys].
class AttentionBias {
 public:
  AttentionBias(const OpCall& call, const AttentionPlan& plan)
      : call_(call), plan_(plan) {
    if (!call.Has(kMask)) return;
    const Shape& mask = call.ShapeOf(kMask);
    covered_ = mask.empty() || mask.back() == 1 ? plan.Keys() : mask.back();
    strides_ = BroadcastStrides(mask, Shape{plan.query.batch, plan.query.heads,
                                            plan.query.rows, covered_});
  }

  double At(int64_t batch, int64_t head, int64_t query, int64_t key) const {
    constexpr double kHidden = -std::numeric_limits<double>::infinity();
    if (IsInTheFuture(batch, query, key)) return kHidden;
    if (call_.Has(kKeyLengths) &&
        key >= call_.ValuesOf<int64_t>(kKeyLengths)[batch]) {
      return kHidden;
    }
    if (!call_.Has(kMask)) return 0;
    if (key >= covered_) return kHidden;
    const int64_t at = batch * strides_[0] + head * strides_[1] +
                       query * strides_[2] + key * strides_[3];
    if (call_.TypeOf(kMask) == DataType::kFloat32) {
      return call_.ValuesOf<float>(kMask)[at];
    }
    return call_.ValuesOf<uint8_t>(kMask)[at] != 0 ? 0 : kHidden;
  }

 private:
  bool IsInTheFuture(int64_t batch, int64_t query, int64_t key) const {
    if (call_.node().IntOr("is_causal", 0) == 0) return false;
    int64_t offset = plan_.past;
    if (!call_.Has(kPastKey) && call_.Has(kKeyLengths)) {
      offset = call_.ValuesOf<int64_t>(kKeyLengths)[batch] - plan_.query.rows;
    }
    return key > query + offset;
  }

  const OpCall& call_;
  const AttentionPlan& plan_;
  int64_t covered_ = 0;
  std::vector<int64_t> strides_;
};

void SoftmaxInPlace(std::vector<double>& row) {
  const double largest = *std::max_element(row.begin(), row.end());
  double sum = 0;
  for (double& x : row) sum += x = std::exp(x - largest);
  for (double& x : row) x /= sum;
}

// What qk_matmul_output_mode picks.
enum ScoreStage { kRaw, kCapped, kMasked, kNormalized };

// The scores of one query with all keys, from `key` on; each stage that
// `shown` asks for is left in `stage_out`.
std::vector<double> ScoresOf(const OpCall& call, const float* query,
                             const float* keys, int64_t width,
                             const std::vector<double>& bias,
                             float* stage_out) {
  const double scale = call.node().FloatOr(
      "scale", static_cast<float>(1 / std::sqrt(static_cast<double>(width))));
  const double cap = call.node().FloatOr("softcap", 0);
  const int64_t shown = call.node().IntOr("qk_matmul_output_mode", kRaw);
  std::vector<double> scores(bias.size(), 0);
  const auto show = [&](ScoreStage stage) {
    if (shown != stage) return;
    std::transform(scores.begin(), scores.end(), stage_out,
                   [](double x) { return static_cast<float>(x); });
  };
  for (size_t j = 0; j < scores.size(); ++j) {
    const float* key = keys + static_cast<int64_t>(j) * width;
    for (int64_t d = 0; d < width; ++d) {
      scores[j] += static_cast<double>(query[d]) * key[d];
    }
    scores[j] *= scale;
  }
  show(kRaw);
  if (cap > 0) {
    for (double& x : scores) x = cap * std::tanh(x / cap);
  }
  show(kCapped);
  for (size_t j = 0; j < scores.size(); ++j) scores[j] += bias[j];
  show(kMasked);
  SoftmaxInPlace(scores);
  show(kNormalized);
  return scores;
}

absl::StatusOr<Tensors> AttentionKernel(const OpCall& call,
                                        const Values& outputs) {
  LATHE_ASSIGN_OR_RETURN(const AttentionPlan plan, ResolveAttention(call));
  const Heads& q = plan.query;
  const bool is_packed = call.Rank(kQuery) == 3;
  const std::vector<float> queries =
      HeadsFirst(call.ValuesOf<float>(kQuery), q, is_packed);
  const Tensor keys = Present(call, kKey, kPastKey, plan.key, outputs[1]);
  const Tensor values =
      Present(call, kValue, kPastValue, plan.value, outputs[2]);
  const AttentionBias bias(call, plan);
  TensorBuilder<float> out(outputs[0]);
  TensorBuilder<float> shown(outputs[3]);
  const int64_t width = plan.value.width;
  std::vector<double> biases(plan.Keys());
  for (int64_t row = 0; row < q.batch * q.heads * q.rows; ++row) {
    const int64_t batch = row / (q.heads * q.rows);
    const int64_t head = row / q.rows % q.heads;
    const int64_t query = row % q.rows;
    const int64_t block =
        batch * plan.key.heads + head / (q.heads / plan.key.heads);
    for (int64_t j = 0; j < plan.Keys(); ++j) {
      biases[j] = bias.At(batch, head, query, j);
    }
    if (biases.empty()) continue;
    const std::vector<double> scores =
        ScoresOf(call, queries.data() + row * q.width,
                 keys.values<float>().data() + block * plan.Keys() * q.width,
                 q.width, biases, shown.data() + row * plan.Keys());
    const float* value =
        values.values<float>().data() + block * plan.Keys() * width;
    float* to = out.data() + row * width;
    if (is_packed) {
      to = out.data() + ((batch * q.rows + query) * q.heads + head) * width;
    }
    for (int64_t d = 0; d < width; ++d) {
      double sum = 0;
      for (int64_t j = 0; j < plan.Keys(); ++j) {
        sum += scores[j] * value[j * width + d];
      }
      to[d] = static_cast<float>(sum);
    }
  }
  return Tensors{std::move(out).Build(), keys, values,
                 std::move(shown).Build()};
}

// ---------------------------------------------------------- RotaryEmbedding

struct RotaryPlan {
  Heads heads;
  // Numbers at the front of each head that are rotated, in pairs.
  int64_t rotated = 0;
};

absl::StatusOr<RotaryPlan> ResolveRotary(const OpCall& call) {
  RotaryPlan plan;
  LATHE_ASSIGN_OR_RETURN(plan.heads, HeadsOf(call, 0, "num_heads"));
  plan.rotated = call.node().IntOr("rotary_embedding_dim", 0);
  if (plan.rotated == 0) plan.rotated = plan.heads.width;
  if (plan.rotated < 0 || plan.rotated > plan.heads.width ||
      plan.rotated % 2 != 0) {
    return call.Invalid(absl::StrCat("rotary_embedding_dim = ", plan.rotated,
                                     ", not an even number in [0, ",
                                     plan.heads.width, "]"));
  }
  const bool has_positions = call.Has(3);
  const Shape rows = {plan.heads.batch, plan.heads.rows};
  if (has_positions &&
      (call.TypeOf(3) != DataType::kInt64 || call.ShapeOf(3) != rows)) {
    return call.Invalid(
        absl::StrCat("position_ids is not int64 ", ShapeToString(rows)));
  }
  for (const int cache : {1, 2}) {
    Shape fits = {plan.heads.batch, plan.heads.rows, plan.rotated / 2};
    if (has_positions && call.Rank(cache) == 2) {
      fits = {call.ShapeOf(cache)[0], plan.rotated / 2};
    }
    if (call.ShapeOf(cache) == fits && call.ShapeOf(cache) == call.ShapeOf(1)) {
      continue;
    }
    return call.Invalid(absl::StrCat("input ", cache, " of shape ",
                                     ShapeToString(call.ShapeOf(cache)),
                                     ", not ", ShapeToString(fits)));
  }
  return plan;
}

absl::StatusOr<Values> RotaryRule(const OpCall& call) {
  for (const int i : {0, 1, 2}) {
    if (call.TypeOf(i) == DataType::kFloat32) continue;
    return call.Unsupported(absl::StrCat("input ", i,
                                         " is not float32; only "
                                         "float32 is supported"));
  }
  LATHE_RETURN_IF_ERROR(ResolveRotary(call).status());
  return LikeInput(call);
}

// Rotates the pairs of `x` by the angles of one position.
void Rotate(const float* cosines, const float* sines, int64_t pairs,
            bool is_interleaved, float* x) {
  for (int64_t i = 0; i < pairs; ++i) {
    float& a = x[is_interleaved ? 2 * i : i];
    float& b = x[is_interleaved ? 2 * i + 1 : i + pairs];
    const float real = cosines[i] * a - sines[i] * b;
    b = sines[i] * a + cosines[i] * b;
    a = real;
  }
}

absl::StatusOr<Tensors> RotaryKernel(const OpCall& call,
                                     const Values& outputs) {
  LATHE_ASSIGN_OR_RETURN(const RotaryPlan plan, ResolveRotary(call));
  const Heads& heads = plan.heads;
  const int64_t pairs = plan.rotated / 2;
  const bool is_packed = call.Rank(0) == 3;
  const bool is_interleaved = call.node().IntOr("interleaved", 0) != 0;
  TensorBuilder<float> out(outputs[0]);
  const auto in = call.ValuesOf<float>(0);
  std::copy(in.begin(), in.end(), out.data());
  for (int64_t i = 0; i < heads.batch * heads.rows * heads.heads; ++i) {
    // `i` counts heads as they lie.
    const int64_t batch = i / (heads.rows * heads.heads);
    const int64_t row =
        is_packed ? i / heads.heads % heads.rows : i % heads.rows;
    int64_t angle = batch * heads.rows + row;
    if (call.Has(3)) {
      angle = call.ValuesOf<int64_t>(3)[angle];
      const int64_t most =
          ElementCount(call.ShapeOf(1)) / std::max<int64_t>(pairs, 1);
      if (angle < 0 || angle >= most) {
        return call.Invalid(absl::StrCat("position_ids has ", angle,
                                         ", not in [0, ", most, ")"));
      }
    }
    Rotate(call.ValuesOf<float>(1).data() + angle * pairs,
           call.ValuesOf<float>(2).data() + angle * pairs, pairs,
           is_interleaved, out.data() + i * heads.width);
  }
  return Only(std::move(out).Build());
}

}  // namespace

absl::Span<const OperatorDef> AttentionOperators() {
  static constexpr OperatorDef kOperators[] = {
      {"Attention", 3, 7, OpTypes::kAny, AttentionRule, AttentionKernel, true},
      {"RotaryEmbedding", 3, 4, OpTypes::kAny, RotaryRule, RotaryKernel},
  };
  return kOperators;
}

}  // namespace lathe

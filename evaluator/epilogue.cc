#include "evaluator/epilogue.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status.h"

namespace lathe {
namespace {

using dnnl::algorithm;

FusedOp Eltwise(algorithm algorithm, float alpha = 0, float beta = 0) {
  FusedOp op;
  op.algorithm = algorithm;
  op.alpha = alpha;
  op.beta = beta;
  return op;
}

// Builds the ops of one epilogue.
class EpilogueBuilder {
 public:
  EpilogueBuilder(LoweringContext& context, const Node& node,
                  const Encoding& encoding, const Shape& destination_shape)
      : context_(context),
        node_(node),
        encoding_(encoding),
        destination_shape_(destination_shape) {}

  absl::StatusOr<Epilogue> Build(std::vector<float> scales) {
    const bool is_scaled = CanScale();
    if (is_scaled) epilogue_.unit = encoding_.scale;
    if (scales.empty() && epilogue_.unit != 1) scales = {1};
    for (float& scale : scales) scale /= epilogue_.unit;
    epilogue_.attributes.scales = std::move(scales);
    for (const PostOp& op : node_.post_ops) {
      if (op.kind == PostOp::Kind::kAdd) {
        LATHE_RETURN_IF_ERROR(Add(node_.inputs[op.input]));
      } else {
        for (FusedOp& fused : ActivationOps(op, epilogue_.unit)) {
          Append(std::move(fused));
        }
      }
    }
    if (encoding_.IsLevels() && !is_scaled) {
      Append(LinearOp(1 / encoding_.scale,
                      static_cast<float>(encoding_.zero_point)));
    }
    return std::move(epilogue_);
  }

 private:
  bool CanScale() const {
    if (!encoding_.IsLevels() || encoding_.zero_point != 0) return false;
    return std::all_of(node_.post_ops.begin(), node_.post_ops.end(),
                       [&](const PostOp& op) {
                         if (op.kind != PostOp::Kind::kAdd) {
                           return CommutesWithScaling(op);
                         }
                         return IsFullAddend(context_, node_,
                                             node_.inputs[op.input]);
                       }) &&
           std::count_if(node_.post_ops.begin(), node_.post_ops.end(),
                         [](const PostOp& op) {
                           return op.kind == PostOp::Kind::kAdd;
                         }) <= 1;
  }

  void Append(FusedOp op) { epilogue_.attributes.ops.push_back(std::move(op)); }

  absl::Status Add(ValueId value) {
    const bool has_sum =
        std::any_of(epilogue_.addends.begin(), epilogue_.addends.end(),
                    [](const FusedAddend& addend) { return addend.is_sum; });
    if (IsFullAddend(context_, node_, value) && !has_sum) {
      return AddInPlace(value);
    }
    return AddAsArgument(value);
  }

  absl::Status AddInPlace(ValueId value) {
    FusedAddend addend;
    addend.op = static_cast<int>(epilogue_.attributes.ops.size());
    addend.value = value;
    addend.is_sum = true;
    addend.encoding = encoding_;
    if (encoding_.IsLevels()) {
      LATHE_ASSIGN_OR_RETURN(addend.encoding, context_.StoredEncoding(value));
    }
    FusedOp sum;
    sum.kind = FusedOp::Kind::kSum;
    sum.type = addend.encoding.type;
    const float scale = addend.encoding.IsLevels() ? addend.encoding.scale : 1;
    sum.scale = scale / epilogue_.unit;
    Append(sum);
    if (addend.encoding.IsLevels() && addend.encoding.zero_point != 0) {
      Append(LinearOp(1, -sum.scale * addend.encoding.zero_point));
    }
    epilogue_.addends.push_back(addend);
    return absl::OkStatus();
  }

  absl::Status AddAsArgument(ValueId value) {
    const Shape& shape = context_.shape(value);
    const size_t rank = destination_shape_.size();
    Shape aligned = shape;
    // Leading dimensions of size 1 may go.
    while (aligned.size() > rank && aligned.front() == 1) {
      aligned.erase(aligned.begin());
    }
    if (aligned.size() > rank) {
      if (!IsFullAddend(context_, node_, value)) return NotFusable(value);
      aligned = destination_shape_;
    }
    aligned.insert(aligned.begin(), rank - aligned.size(), 1);
    for (size_t d = 0; d < rank; ++d) {
      if (aligned[d] != 1 && aligned[d] != destination_shape_[d]) {
        return NotFusable(value);
      }
    }
    FusedAddend addend;
    addend.op = static_cast<int>(epilogue_.attributes.ops.size());
    addend.value = value;
    FusedOp op;
    op.kind = FusedOp::Kind::kBinaryAdd;
    op.desc = PlainDesc(aligned, DataType::kFloat32);
    Append(op);
    epilogue_.addends.push_back(addend);
    return absl::OkStatus();
  }

  absl::Status NotFusable(ValueId value) const {
    return absl::UnimplementedError(absl::StrCat(
        "node ", node_.name, ": the addition of ",
        context_.graph().value(value).name, " ",
        ShapeToString(context_.shape(value)), " cannot be fused"));
  }

  LoweringContext& context_;
  const Node& node_;
  const Encoding encoding_;
  const Shape& destination_shape_;
  Epilogue epilogue_;
};

}  // namespace

bool IsFullAddend(const LoweringContext& context, const Node& node,
                  ValueId value) {
  return context.shape(value) == context.shape(node.outputs[0]);
}

FusedOp LinearOp(float factor, float offset) {
  return Eltwise(algorithm::eltwise_linear, factor, offset);
}

bool CommutesWithScaling(const PostOp& op) {
  return op.kind == PostOp::Kind::kRelu ||
         op.kind == PostOp::Kind::kLeakyRelu || op.kind == PostOp::Kind::kClip;
}

std::vector<FusedOp> ActivationOps(const PostOp& op, float unit) {
  switch (op.kind) {
    case PostOp::Kind::kRelu:
      return {Eltwise(algorithm::eltwise_relu)};
    case PostOp::Kind::kLeakyRelu:
      return {Eltwise(algorithm::eltwise_relu, op.alpha)};
    case PostOp::Kind::kClip:
      return {Eltwise(algorithm::eltwise_clip, op.alpha / unit,
                      op.beta / unit)};
    case PostOp::Kind::kSigmoid:
      return {Eltwise(algorithm::eltwise_logistic)};
    case PostOp::Kind::kTanh:
      return {Eltwise(algorithm::eltwise_tanh)};
    case PostOp::Kind::kHardSigmoid:
      return {LinearOp(op.alpha, op.beta),
              Eltwise(algorithm::eltwise_clip, 0, 1)};
    case PostOp::Kind::kHardSwish:
      return {Eltwise(algorithm::eltwise_hardswish)};
    case PostOp::Kind::kAdd:
      break;
  }
  assert(false);
  return {};
}

absl::StatusOr<Epilogue> MakeEpilogue(LoweringContext& context,
                                      const Node& node,
                                      std::vector<float> scales,
                                      const Encoding& encoding,
                                      const Shape& destination_shape) {
  return EpilogueBuilder(context, node, encoding, destination_shape)
      .Build(std::move(scales));
}

}  // namespace lathe

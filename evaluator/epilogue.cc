#include "evaluator/epilogue.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "evaluator/activations.h"

namespace lathe {
namespace {

using dnnl::algorithm;

bool IsEltwise(const FusedOp& op, algorithm algorithm) {
  return op.kind == FusedOp::Kind::kEltwise && op.algorithm == algorithm;
}

// x -> factor * x + offset.
struct Affine {
  float factor = 1;
  float offset = 0;
};

// Rewrites op-then-affine as affine-then-op. False where that cannot be.
bool MoveThrough(FusedOp* op, const Affine& affine) {
  if (affine.factor <= 0) return false;
  if (op->kind == FusedOp::Kind::kSum) {
    op->scale *= affine.factor;
    return true;
  }
  if (IsEltwise(*op, algorithm::eltwise_clip)) {
    op->alpha = op->alpha * affine.factor + affine.offset;
    op->beta = op->beta * affine.factor + affine.offset;
    return true;
  }
  if (!IsEltwise(*op, algorithm::eltwise_relu)) return false;
  if (affine.offset == 0) return true;
  if (op->alpha != 0) return false;
  *op = EltwiseOp(algorithm::eltwise_clip, affine.offset,
                  std::numeric_limits<float>::max());
  return true;
}

// The shape of an addend in as many dimensions as the kernel writes; none where
// it cannot be broadcast by a fused op.
std::optional<Shape> AlignedAddend(Shape shape, const Shape& destination) {
  while (shape.size() > destination.size() && shape.front() == 1) {
    shape.erase(shape.begin());
  }
  if (shape.size() > destination.size()) return std::nullopt;
  shape.insert(shape.begin(), destination.size() - shape.size(), 1);
  for (size_t d = 0; d < shape.size(); ++d) {
    if (shape[d] != 1 && shape[d] != destination[d]) return std::nullopt;
  }
  return shape;
}

// Builds the ops of one epilogue.
class EpilogueBuilder {
 public:
  EpilogueBuilder(LoweringContext& context, const Node& node,
                  const Encoding& encoding, const Shape& destination_shape)
      : context_(context),
        node_(node),
        encoding_(encoding),
        destination_shape_(destination_shape),
        ops_(epilogue_.attributes.ops) {}

  absl::StatusOr<Epilogue> Build(std::vector<float> scales) {
    epilogue_.attributes.scales = std::move(scales);
    for (const PostOp& op : node_.post_ops) {
      if (op.kind == PostOp::Kind::kAdd) {
        LATHE_RETURN_IF_ERROR(Add(node_.inputs[op.input]));
        continue;
      }
      for (const FusedOp& fused : ActivationOps(op)) Append(fused);
    }
    for (const FusedOp& fused : FusedActivation(node_)) Append(fused);
    if (encoding_.IsLevels()) {
      AppendAffine(
          {1 / encoding_.scale, static_cast<float>(encoding_.zero_point)});
    }
    LATHE_RETURN_IF_ERROR(CheckKinds());
    return std::move(epilogue_);
  }

 private:
  void Append(const FusedOp& op) {
    if (IsEltwise(op, algorithm::eltwise_linear)) {
      AppendAffine({op.alpha, op.beta});
    } else {
      ops_.push_back(op);
    }
  }

  void AppendAffine(Affine affine) {
    size_t at = ops_.size();
    while (at > 0) {
      FusedOp& before = ops_[at - 1];
      if (IsEltwise(before, algorithm::eltwise_linear)) {
        affine = {affine.factor * before.alpha,
                  affine.factor * before.beta + affine.offset};
        ops_.erase(ops_.begin() + static_cast<int64_t>(at) - 1);
      } else if (!MoveThrough(&before, affine)) {
        break;
      }
      --at;
    }
    if (affine.factor == 1 && affine.offset == 0) return;
    std::vector<float>& scales = epilogue_.attributes.scales;
    if (at > 0 || scales.empty()) {
      ops_.insert(ops_.begin() + static_cast<int64_t>(at),
                  LinearOp(affine.factor, affine.offset));
      return;
    }
    for (float& scale : scales) scale *= affine.factor;
    epilogue_.bias_factor *= affine.factor;
    epilogue_.bias_offset =
        epilogue_.bias_offset * affine.factor + affine.offset;
  }

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
    addend.value = value;
    addend.is_sum = true;
    addend.encoding = encoding_;
    if (encoding_.IsLevels()) {
      LATHE_ASSIGN_OR_RETURN(addend.encoding, context_.StoredEncoding(value));
      if (!addend.encoding.IsLevels()) return NotFusable(value);
    }
    FusedOp sum;
    sum.kind = FusedOp::Kind::kSum;
    sum.type = addend.encoding.type;
    if (addend.encoding.IsLevels()) sum.scale = addend.encoding.scale;
    ops_.push_back(sum);
    epilogue_.addends.push_back(addend);
    if (addend.encoding.IsLevels()) {
      AppendAffine({1, -sum.scale * addend.encoding.zero_point});
    }
    return absl::OkStatus();
  }

  absl::Status AddAsArgument(ValueId value) {
    const std::optional<Shape> aligned =
        IsFullAddend(context_, node_, value)
            ? destination_shape_
            : AlignedAddend(context_.shape(value), destination_shape_);
    if (!aligned) return NotFusable(value);
    FusedAddend addend;
    addend.op = static_cast<int>(ops_.size());
    addend.value = value;
    FusedOp op;
    op.kind = FusedOp::Kind::kBinaryAdd;
    op.desc = PlainDesc(*aligned, DataType::kFloat32);
    ops_.push_back(op);
    epilogue_.addends.push_back(addend);
    return absl::OkStatus();
  }

  absl::Status CheckKinds() const {
    for (const FusedOp& a : ops_) {
      for (const FusedOp& b : ops_) {
        if (a.kind != FusedOp::Kind::kEltwise || a.kind != b.kind) continue;
        if (a.algorithm == b.algorithm &&
            (a.alpha != b.alpha || a.beta != b.beta)) {
          return absl::UnimplementedError(
              absl::StrCat("node ", node_.name,
                           ": two activations of one kind cannot be fused"));
        }
      }
    }
    return absl::OkStatus();
  }

  absl::Status NotFusable(ValueId value) const {
    return absl::UnimplementedError(
        absl::StrCat("node ", node_.name, ": the addition of ",
                     context_.graph().value(value).name, " ",
                     ShapeToString(context_.shape(value)), " cannot be fused"));
  }

  LoweringContext& context_;
  const Node& node_;
  const Encoding encoding_;
  const Shape& destination_shape_;
  Epilogue epilogue_;
  std::vector<FusedOp>& ops_;
};

absl::Status AddSumStep(LoweringContext& context, const Node& node,
                        ValueId value, const Copy& copy) {
  Shape shape = context.shape(value);
  const size_t rank = context.shape(node.outputs[0]).size();
  shape.insert(shape.begin(), rank - shape.size(), 1);
  BinarySpec spec;
  spec.source = spec.destination = copy.desc;
  spec.second_source = PlainDesc(shape, DataType::kFloat32);
  LATHE_ASSIGN_OR_RETURN(const Kernel kernel, MakeBinary(spec, {}));
  LATHE_ASSIGN_OR_RETURN(const Copy addend, context.FetchPlain(value));
  return context.AddKernel("add", kernel,
                           {Reads(DNNL_ARG_SRC_0, copy, copy.desc),
                            Reads(DNNL_ARG_SRC_1, addend, spec.second_source),
                            Writes(DNNL_ARG_DST, copy, copy.desc)});
}

absl::Status AddActivationSteps(LoweringContext& context,
                                const std::vector<FusedOp>& ops,
                                const Copy& copy) {
  for (const FusedOp& op : ops) {
    LATHE_ASSIGN_OR_RETURN(const Kernel kernel, MakeEltwise(op, copy.desc));
    LATHE_RETURN_IF_ERROR(
        context.AddKernel("activation", kernel,
                          {Reads(DNNL_ARG_SRC, copy, copy.desc),
                           Writes(DNNL_ARG_DST, copy, copy.desc)}));
  }
  return absl::OkStatus();
}

}  // namespace

bool IsFullAddend(const LoweringContext& context, const Node& node,
                  ValueId value) {
  return context.shape(value) == context.shape(node.outputs[0]);
}

absl::StatusOr<Epilogue> MakeEpilogue(LoweringContext& context,
                                      const Node& node,
                                      std::vector<float> scales,
                                      const Encoding& encoding,
                                      const Shape& destination_shape) {
  return EpilogueBuilder(context, node, encoding, destination_shape)
      .Build(std::move(scales));
}

absl::Status AddPostOpSteps(LoweringContext& context, const Node& node,
                            const Copy& copy) {
  for (const PostOp& op : node.post_ops) {
    LATHE_RETURN_IF_ERROR(
        op.kind == PostOp::Kind::kAdd
            ? AddSumStep(context, node, node.inputs[op.input], copy)
            : AddActivationSteps(context, ActivationOps(op), copy));
  }
  return AddActivationSteps(context, FusedActivation(node), copy);
}

}  // namespace lathe

// Activations and arithmetic of two values.
#include <algorithm>
#include <limits>
#include <map>
#include <optional>
#include <string>
#include <utility>

#include "Eigen/Core"
#include "absl/strings/ascii.h"
#include "base/status.h"
#include "evaluator/activations.h"
#include "evaluator/epilogue.h"
#include "evaluator/lower_ops.h"
#include "unsupported/Eigen/SpecialFunctions"

namespace lathe {
namespace {

using dnnl::algorithm;

std::optional<algorithm> BinaryAlgorithm(const std::string& op) {
  static const auto* algorithms = new std::map<std::string, algorithm>{
      {"Add", algorithm::binary_add}, {"Sub", algorithm::binary_sub},
      {"Mul", algorithm::binary_mul}, {"Div", algorithm::binary_div},
      {"Max", algorithm::binary_max}, {"Min", algorithm::binary_min}};
  const auto found = algorithms->find(op);
  if (found == algorithms->end()) return std::nullopt;
  return found->second;
}

bool IsCommutative(const std::string& op) { return op != "Sub" && op != "Div"; }

bool HasGridWithoutZeroPoint(const Encoding& encoding) {
  return encoding.IsLevels() && encoding.zero_point == 0;
}

// A binary operator: `full` has the output's shape, `other` may be broadcast.
struct BinaryOperands {
  ValueId full = kNoValue;
  ValueId other = kNoValue;
};

std::optional<BinaryOperands> OrderOperands(const LoweringContext& context,
                                            const Node& node) {
  const Shape& shape = context.shape(node.outputs[0]);
  const ValueId a = node.inputs[0];
  const ValueId b = node.inputs[1];
  if (context.shape(a) == shape && context.constant(a) == nullptr) {
    return BinaryOperands{a, b};
  }
  if (context.shape(b) == shape && IsCommutative(node.op_type)) {
    return BinaryOperands{b, a};
  }
  if (context.shape(a) == shape) return BinaryOperands{a, b};
  return std::nullopt;
}

// A binary node on the way to its kernel.
class BinaryLowering {
 public:
  BinaryLowering(LoweringContext& context, const Node& node,
                 algorithm algorithm, const BinaryOperands& operands)
      : context_(context),
        node_(node),
        algorithm_(algorithm),
        operands_(operands) {}

  absl::StatusOr<bool> Run() {
    LATHE_ASSIGN_OR_RETURN(const Copy full, context_.Stored(operands_.full));
    LATHE_ASSIGN_OR_RETURN(const Encoding other,
                           context_.StoredEncoding(operands_.other));
    const Encoding wanted = context_.WantedEncoding(node_.outputs[0]);
    const bool is_sum = algorithm_ == algorithm::binary_add ||
                        algorithm_ == algorithm::binary_sub;
    if (is_sum && IsFullAddend(context_, node_, operands_.other) &&
        HasGridWithoutZeroPoint(full.encoding) &&
        HasGridWithoutZeroPoint(other)) {
      const auto is_done = Add(full.encoding, other, wanted, full.desc);
      if (is_done.ok() && *is_done) return true;
    }
    LATHE_ASSIGN_OR_RETURN(const MemoryDesc desc,
                           WithType(full.desc, DataType::kFloat32));
    return Add(FloatEncoding(), FloatEncoding(), FloatEncoding(), desc);
  }

 private:
  static float ScaleOf(const Encoding& encoding) {
    return encoding.IsLevels() ? encoding.scale : 1;
  }

  MemoryDesc OtherDesc(const MemoryDesc& like, const Encoding& encoding) const {
    if (IsFullAddend(context_, node_, operands_.other)) {
      return *WithType(like, encoding.type);
    }
    Shape shape = context_.shape(operands_.other);
    const size_t rank = context_.shape(node_.outputs[0]).size();
    shape.insert(shape.begin(), rank - shape.size(), 1);
    return PlainDesc(shape, encoding.type);
  }

  // With the operands in these encodings and the layout of `like`. False, and
  // nothing is done, if there is no fast kernel.
  absl::StatusOr<bool> Add(const Encoding& full, const Encoding& other,
                           const Encoding& wanted, const MemoryDesc& like) {
    std::vector<float> scales;
    if (full.IsLevels()) scales = {1};
    LATHE_ASSIGN_OR_RETURN(Epilogue epilogue,
                           MakeEpilogue(context_, node_, scales, wanted,
                                        context_.shape(node_.outputs[0])));
    std::vector<FusedOp>& ops = epilogue.attributes.ops;
    if (epilogue.bias_offset != 0) {
      // There is no bias here; and no second linear op may follow.
      for (const FusedOp& op : ops) {
        if (op.algorithm == algorithm::eltwise_linear) return false;
      }
      ops.insert(ops.begin(), LinearOp(1, epilogue.bias_offset));
    }
    const float factor = full.IsLevels() ? epilogue.attributes.scales[0] : 1;
    BinarySpec spec;
    spec.algorithm = algorithm_;
    LATHE_ASSIGN_OR_RETURN(spec.source, WithType(like, full.type));
    spec.second_source = OtherDesc(like, other);
    LATHE_ASSIGN_OR_RETURN(spec.destination, WithType(like, wanted.type));
    spec.source_scale = ScaleOf(full) * factor;
    spec.second_source_scale = ScaleOf(other) * factor;
    const auto kernel = MakeBinary(spec, ops);
    if (!kernel.ok() || IsReferenceImplementation(kernel->implementation)) {
      return false;
    }
    LATHE_ASSIGN_OR_RETURN(
        const Copy a, context_.Fetch(operands_.full, full, kernel->source));
    LATHE_ASSIGN_OR_RETURN(const Copy b, FetchOther(other, *kernel));
    const Copy destination = context_.NewCopy(wanted, kernel->destination);
    LATHE_RETURN_IF_ERROR(context_.AddKernel(
        absl::AsciiStrToLower(node_.op_type), *kernel,
        {Reads(DNNL_ARG_SRC_0, a, kernel->source),
         Reads(DNNL_ARG_SRC_1, b, kernel->second_source),
         Writes(DNNL_ARG_DST, destination, kernel->destination)}));
    context_.Define(node_.outputs[0], destination);
    return true;
  }

  absl::StatusOr<Copy> FetchOther(const Encoding& encoding,
                                  const Kernel& kernel) {
    if (IsFullAddend(context_, node_, operands_.other)) {
      return context_.Fetch(operands_.other, encoding, kernel.second_source);
    }
    return context_.FetchPlain(operands_.other);
  }

  LoweringContext& context_;
  const Node& node_;
  const algorithm algorithm_;
  const BinaryOperands operands_;
};

bool IsFloat(const LoweringContext& context, const Node& node) {
  for (ValueId value : node.inputs) {
    if (value != kNoValue && context.type(value) != DataType::kFloat32) {
      return false;
    }
  }
  return ElementCount(context.shape(node.outputs[0])) > 0;
}

// The bounds of a Clip; none where they are not constant.
std::optional<FusedOp> ClipOp(const LoweringContext& context,
                              const Node& node) {
  constexpr float kMost = std::numeric_limits<float>::max();
  float bounds[2] = {node.FloatOr("min", -kMost), node.FloatOr("max", kMost)};
  for (size_t i = 1; i < std::min<size_t>(3, node.inputs.size()); ++i) {
    if (node.inputs[i] == kNoValue) continue;
    const Tensor* bound = context.constant(node.inputs[i]);
    if (bound == nullptr || bound->type() != DataType::kFloat32) {
      return std::nullopt;
    }
    bounds[i - 1] = bound->values<float>()[0];
  }
  return EltwiseOp(algorithm::eltwise_clip, bounds[0], bounds[1]);
}

using Numbers = Eigen::Map<Eigen::ArrayXf>;

// What oneDNN has not, or slowly: compute(x, y) sets y from input 0.
template <typename Compute>
absl::StatusOr<bool> AddEigenLoop(LoweringContext& context, const Node& node,
                                  Compute compute) {
  LATHE_ASSIGN_OR_RETURN(const Copy source, context.FetchPlain(node.inputs[0]));
  const Copy destination = context.NewCopy(FloatEncoding(), source.desc);
  const int64_t count = ElementCount(context.shape(node.inputs[0]));
  context.AddLoop(absl::AsciiStrToLower(node.op_type), "eigen",
                  {Reads(source), Writes(destination)},
                  [count, compute](absl::Span<char* const> operands) {
                    const Numbers x(reinterpret_cast<float*>(operands[0]),
                                    count);
                    Numbers y(reinterpret_cast<float*>(operands[1]), count);
                    compute(x, y);
                    return absl::OkStatus();
                  });
  context.Define(node.outputs[0], destination);
  return true;
}

// A small constant exponent.
absl::StatusOr<bool> LowerPow(LoweringContext& context, const Node& node) {
  const Tensor* exponent = context.constant(node.inputs[1]);
  if (exponent == nullptr || exponent->size() != 1 ||
      context.shape(node.inputs[0]) != context.shape(node.outputs[0])) {
    return false;
  }
  const float power = exponent->values<float>()[0];
  if (power == 2) {
    return AddEigenLoop(context, node,
                        [](const Numbers& x, Numbers& y) { y = x.square(); });
  }
  if (power == 3) {
    return AddEigenLoop(context, node,
                        [](const Numbers& x, Numbers& y) { y = x.cube(); });
  }
  if (power == -1) {
    return AddEigenLoop(context, node,
                        [](const Numbers& x, Numbers& y) { y = x.inverse(); });
  }
  return false;
}

}  // namespace

absl::StatusOr<bool> LowerUnary(LoweringContext& context, const Node& node) {
  if (!IsFloat(context, node) || !node.post_ops.empty()) return false;
  // A rational function in SIMD.
  if (node.op_type == "Erf") {
    return AddEigenLoop(context, node,
                        [](const Numbers& x, Numbers& y) { y = x.erf(); });
  }
  if (node.op_type == "Reciprocal") {
    return AddEigenLoop(context, node,
                        [](const Numbers& x, Numbers& y) { y = x.inverse(); });
  }
  if (node.op_type == "Pow") return LowerPow(context, node);
  std::vector<FusedOp> ops = UnaryOps(node);
  if (node.op_type == "Clip") {
    const std::optional<FusedOp> clip = ClipOp(context, node);
    if (clip) ops = {*clip};
  }
  if (ops.empty()) return false;
  const ValueId input = node.inputs[0];
  LATHE_ASSIGN_OR_RETURN(const Copy stored, context.Stored(input));
  LATHE_ASSIGN_OR_RETURN(const MemoryDesc desc,
                         WithType(stored.desc, DataType::kFloat32));
  LATHE_ASSIGN_OR_RETURN(Copy source,
                         context.Fetch(input, FloatEncoding(), desc));
  const Copy destination = context.NewCopy(FloatEncoding(), desc);
  for (const FusedOp& op : ops) {
    LATHE_ASSIGN_OR_RETURN(const Kernel kernel, MakeEltwise(op, desc));
    LATHE_RETURN_IF_ERROR(
        context.AddKernel(absl::AsciiStrToLower(node.op_type), kernel,
                          {Reads(DNNL_ARG_SRC, source, desc),
                           Writes(DNNL_ARG_DST, destination, desc)}));
    source = destination;
  }
  context.Define(node.outputs[0], destination);
  return true;
}

absl::StatusOr<bool> LowerPRelu(LoweringContext& context, const Node& node) {
  const Shape& shape = context.shape(node.inputs[0]);
  const Shape& slope = context.shape(node.inputs[1]);
  if (!IsFloat(context, node) || !node.post_ops.empty() || shape.size() > 5 ||
      slope.size() > shape.size()) {
    return false;
  }
  Shape aligned = slope;
  aligned.insert(aligned.begin(), shape.size() - slope.size(), 1);
  LATHE_ASSIGN_OR_RETURN(const Copy stored, context.Stored(node.inputs[0]));
  LATHE_ASSIGN_OR_RETURN(const MemoryDesc desc,
                         WithType(stored.desc, DataType::kFloat32));
  const MemoryDesc slopes = PlainDesc(aligned, DataType::kFloat32);
  LATHE_ASSIGN_OR_RETURN(const Kernel kernel, MakePRelu(desc, slopes));
  if (IsReferenceImplementation(kernel.implementation)) return false;
  LATHE_ASSIGN_OR_RETURN(const Copy source,
                         context.Fetch(node.inputs[0], FloatEncoding(), desc));
  LATHE_ASSIGN_OR_RETURN(const Copy factors,
                         context.FetchPlain(node.inputs[1]));
  const Copy destination = context.NewCopy(FloatEncoding(), desc);
  LATHE_RETURN_IF_ERROR(
      context.AddKernel("prelu", kernel,
                        {Reads(DNNL_ARG_SRC, source, desc),
                         Reads(DNNL_ARG_WEIGHTS, factors, slopes),
                         Writes(DNNL_ARG_DST, destination, desc)}));
  context.Define(node.outputs[0], destination);
  return true;
}

absl::StatusOr<bool> LowerBinary(LoweringContext& context, const Node& node) {
  const auto algorithm = BinaryAlgorithm(node.op_type);
  if (!algorithm || node.OperatorInputs() != 2 || !IsFloat(context, node)) {
    return false;
  }
  // A further addition would need memory of its own; such nodes are rare.
  for (const PostOp& op : node.post_ops) {
    if (op.kind == PostOp::Kind::kAdd) return false;
  }
  const auto operands = OrderOperands(context, node);
  LATHE_ASSIGN_OR_RETURN(const bool is_small_done,
                         LowerSmallArithmetic(context, node));
  if (is_small_done) return true;
  if (operands) {
    const auto is_done =
        BinaryLowering(context, node, *algorithm, *operands).Run();
    if (is_done.ok() && *is_done) return true;
  }
  return LowerBroadcast(context, node);
}

}  // namespace lathe

// The steps of Canonicalize. Private to the compressor.
//
// Each step walks the nodes once and returns whether it changed the draft. Each
// leaves what the graph computes as it is, up to float32 rounding.
#ifndef LATHE_COMPRESSOR_CANONICAL_PASSES_H_
#define LATHE_COMPRESSOR_CANONICAL_PASSES_H_

#include <optional>
#include <vector>

#include "absl/status/statusor.h"
#include "compressor/draft.h"
#include "compressor/graph.h"
#include "compressor/limits.h"
#include "compressor/shape_inference.h"

namespace lathe {

// What is known of the values a graph had when it was probed, at several batch
// sizes, as far as it takes them. Values added since are unknown.
class Probes {
 public:
  // Errors: those of InputShapes and InferShapes.
  static absl::StatusOr<Probes> Take(const Graph& graph);

  bool IsKnown(ValueId id) const;
  // REQUIRES: IsKnown(id).
  DataType Type(ValueId id) const { return infos_[0][id].type; }
  int64_t Rank(ValueId id) const {
    return static_cast<int64_t>(infos_[0][id].shape.size());
  }
  // The size of a dimension that does not depend on the batch.
  std::optional<int64_t> Size(ValueId id, int64_t axis) const;
  // Whether both have the same shape at every batch size.
  bool HaveSameShape(ValueId a, ValueId b) const;
  // The value, when it follows from shapes and is the same at every batch size.
  std::optional<Tensor> Constant(ValueId id) const;
  // The value at each batch size, when it follows from shapes at all.
  std::vector<Tensor> Constants(ValueId id) const;

 private:
  std::vector<std::vector<ValueInfo>> infos_;  // By batch size, by value.
};

// What folding may still cost. Each round of a pass draws on the same one.
struct FoldBudget {
  int64_t bytes = 0;
  // Multiplications of heavy operators.
  int64_t work = kMostFoldedWork;
};

// QLinearConv and QLinearMatMul become Conv and MatMul between DequantizeLinear
// and QuantizeLinear.
bool UnfoldQuantizedLayers(Draft& draft, const Probes& probes);

// QuantizeLinear and DequantizeLinear of 8 bits become grids of values and
// quantised weights; layers with both run in INT8. Before FoldConstants, which
// would fold the weights to floats.
absl::StatusOr<bool> ReadQuantization(Draft& draft, const Probes& probes,
                                      FoldBudget& budget);

// Evaluates what depends on constants and fixed shapes alone; makes the target
// of a Reshape constant where only the batch varies.
absl::StatusOr<bool> FoldConstants(Draft& draft, const Probes& probes,
                                   FoldBudget& budget);

// Drops Identity, Dropout and casts to the same type.
bool DropIdentities(Draft& draft, const Probes& probes);

// BatchNormalization becomes Mul and Add with one constant a channel.
bool ExpandBatchNorms(Draft& draft, const Probes& probes);

// MatMul of a matrix with a constant matrix becomes Gemm; Gemm loses alpha and
// beta, and its bias becomes a vector.
bool NormalizeLinear(Draft& draft, const Probes& probes);

// Mul, Div, Add and Sub with one constant a channel go into the weights and the
// bias of the Conv, ConvTranspose or Gemm before them; Mul and Div also into
// the Conv after them.
bool FoldAffine(Draft& draft, const Probes& probes);

// Additions of two values of one shape become a post-op of the Conv or Gemm
// that makes the later of them.
bool FuseResiduals(Draft& draft, const Probes& probes);

// Activations become post-ops of the Conv, Gemm or Add before them.
bool FuseActivations(Draft& draft, const Probes& probes);

}  // namespace lathe

#endif  // LATHE_COMPRESSOR_CANONICAL_PASSES_H_

// Weights of a pruned LSTM or GRU that bring its gates back to the original's.
#ifndef LATHE_COMPRESSOR_REBUILD_RECURRENT_H_
#define LATHE_COMPRESSOR_REBUILD_RECURRENT_H_

#include <optional>
#include <vector>

#include "absl/types/span.h"
#include "compressor/graph.h"
#include "compressor/rebuild.h"
#include "compressor/tensor.h"

namespace lathe {

// W, R and B of ONNX; no B where there is none.
struct RecurrentWeights {
  Tensor w;
  Tensor r;
  std::optional<Tensor> b;
};

struct RecurrentRun {
  // Of the original network: weights, X, and Y of all steps.
  const RecurrentWeights& original;
  const Tensor& original_input;
  const Tensor& states;
  // X of the pruned network.
  const Tensor& input;
  // Hidden units that are left, ascending.
  absl::Span<const int64_t> kept_units;
};

// `kept` with each gate's weights and bias moved, by ridge regression as in
// rebuild.h, to where they give what the original's gate gives before its
// activation, from the pruned network's inputs and those of the original's
// states that are left. (The states that the pruned network will have are not
// known before it is rebuilt.) A GRU's candidate state, whose gate multiplies
// what it reads, stays as it is, and so does what is not finite.
//
// REQUIRES: `node` has no lengths of sequences.
RecurrentWeights RebuildRecurrent(const Node& node,
                                  const RecurrentWeights& kept,
                                  const RecurrentRun& run,
                                  const RebuildOptions& options);

}  // namespace lathe

#endif  // LATHE_COMPRESSOR_REBUILD_RECURRENT_H_

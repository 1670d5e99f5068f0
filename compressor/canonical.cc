#include "compressor/canonical.h"

#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "base/memory.h"
#include "base/status.h"
#include "compressor/canonical_passes.h"
#include "compressor/draft.h"
#include "compressor/opset.h"
#include "compressor/shape_inference.h"

namespace lathe {
namespace {

// A step opens the way for others only a few times over; a network that still
// changes after so many rounds is our error.
constexpr int kMostRounds = 100;

// Some networks declare an open batch and work with single samples only (a
// Reshape to [1, n], a first state of one sample): theirs becomes 1.
absl::StatusOr<Graph> WithWorkingBatch(const Graph& graph) {
  if (FixedBatch(graph) != 1) return graph;
  GraphParts parts = graph.parts();
  for (const ValueId id : parts.inputs) {
    Shape& shape = parts.values[id].shape;
    if (!shape.empty() && shape[0] == kDynamic) shape[0] = 1;
  }
  return Graph::Create(std::move(parts));
}

absl::StatusOr<Graph> Unfolded(const Graph& graph) {
  LATHE_ASSIGN_OR_RETURN(const Probes probes, Probes::Take(graph));
  Draft draft(graph);
  if (!UnfoldQuantizedLayers(draft, probes)) return graph;
  return std::move(draft).Finish();
}

absl::StatusOr<Graph> RunPasses(const Graph& parsed) {
  LATHE_ASSIGN_OR_RETURN(Graph graph, WithWorkingBatch(parsed));
  LATHE_ASSIGN_OR_RETURN(graph, ConvertToCommonOpset(graph));
  LATHE_ASSIGN_OR_RETURN(graph, Unfolded(graph));
  FoldBudget budget;
  budget.bytes = FoldableBytes(graph);
  for (int round = 0; round < kMostRounds; ++round) {
    LATHE_ASSIGN_OR_RETURN(const Probes probes, Probes::Take(graph));
    Draft draft(graph);
    LATHE_ASSIGN_OR_RETURN(bool is_changed,
                           ReadQuantization(draft, probes, budget));
    LATHE_ASSIGN_OR_RETURN(const bool is_folded,
                           FoldConstants(draft, probes, budget));
    is_changed |= is_folded;
    is_changed |= DropIdentities(draft, probes);
    is_changed |= ExpandBatchNorms(draft, probes);
    is_changed |= NormalizeLinear(draft, probes);
    is_changed |= FoldAffine(draft, probes);
    is_changed |= FuseResiduals(draft, probes);
    is_changed |= FuseActivations(draft, probes);
    LATHE_ASSIGN_OR_RETURN(graph, std::move(draft).Finish());
    if (!is_changed) return graph;
  }
  return absl::InternalError(
      absl::StrCat("the network still changes after ", kMostRounds, " rounds"));
}

}  // namespace

absl::StatusOr<Graph> Canonicalize(const Graph& graph) {
  return GuardMemory("canonical form", [&] { return RunPasses(graph); });
}

}  // namespace lathe

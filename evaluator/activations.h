// Operators of one value as oneDNN's elementwise ops, by themselves and fused
// into the layer before them.
#ifndef LATHE_EVALUATOR_ACTIVATIONS_H_
#define LATHE_EVALUATOR_ACTIVATIONS_H_

#include <vector>

#include "compressor/graph.h"
#include "evaluator/onednn_adapter.h"

namespace lathe {

FusedOp EltwiseOp(dnnl::algorithm algorithm, float alpha = 0, float beta = 0);
FusedOp LinearOp(float factor, float offset);

// An activation as fused ops (HardSigmoid takes two). REQUIRES: op is no kAdd.
std::vector<FusedOp> ActivationOps(const PostOp& op);

// The fused ops that make up `node`, whose operator has one input; empty where
// there are none.
std::vector<FusedOp> UnaryOps(const Node& node);

// Has `layer`, a node of a group, end in what `activation` does, behind its
// post-ops. REQUIRES: UnaryOps(activation) is not empty.
void FuseActivation(const Node& activation, Node* layer);
// The ops of the activation that was fused into `layer`; empty for none.
std::vector<FusedOp> FusedActivation(const Node& layer);
// `layer` without post-ops and activation.
Node WithoutEpilogue(const Node& layer);

}  // namespace lathe

#endif  // LATHE_EVALUATOR_ACTIVATIONS_H_

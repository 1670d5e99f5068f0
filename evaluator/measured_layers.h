// What a measurement says of the layers.
#ifndef LATHE_EVALUATOR_MEASURED_LAYERS_H_
#define LATHE_EVALUATOR_MEASURED_LAYERS_H_

#include "compressor/graph.h"
#include "proto/types.pb.h"

namespace lathe {

// Adds a MeasuredLayer for each layer of `space`: the plan's choice and the
// channels that are left in `graph`, which is the plan carried out.
void SetMeasuredLayers(const Graph& graph, const v1::SearchSpace& space,
                       const v1::CompressionPlan& plan,
                       v1::Measurement* measurement);

}  // namespace lathe

#endif  // LATHE_EVALUATOR_MEASURED_LAYERS_H_

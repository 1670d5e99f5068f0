#include "evaluator/measured_layers.h"

#include <map>
#include <string>

#include "evaluator/latency_table.h"
#include "proto/plan.h"

namespace lathe {

void SetMeasuredLayers(const Graph& graph, const v1::SearchSpace& space,
                       const v1::CompressionPlan& plan,
                       v1::Measurement* measurement) {
  std::map<std::string, const Node*> nodes;
  for (const Node& node : graph.nodes()) nodes[node.name] = &node;
  for (int i = 0; i < space.layers_size(); ++i) {
    const v1::Layer& layer = space.layers(i);
    v1::MeasuredLayer* measured = measurement->add_layers();
    measured->set_name(layer.name());
    *measured->mutable_choice() = plan.layers(i);
    const auto node = nodes.find(layer.name());
    measured->set_channels(
        node == nodes.end()
            ? KeptChannels(layer.out_channels(), plan.layers(i).keep_ratio())
            : ChannelsOf(graph, *node->second).out);
  }
}

}  // namespace lathe

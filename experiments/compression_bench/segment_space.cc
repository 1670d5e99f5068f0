#include "experiments/compression_bench/segment_space.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <set>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/status.h"
#include "compressor/activation_stats.h"
#include "compressor/compress.h"
#include "compressor/search_space.h"
#include "proto/plan.h"

namespace lathe {
namespace {

// Layers of the search space that lie in a segment, and the groups that lie in
// it altogether and can lose channels.
struct Inside {
  std::vector<int> layers;
  std::set<int> groups;
};

Inside InsideOf(const Graph& graph, const v1::SearchSpace& space,
                const Segment& segment) {
  std::set<std::string> names;
  for (int i = segment.first; i <= segment.last; ++i) {
    names.insert(graph.nodes()[i].name);
  }
  Inside inside;
  std::set<int> outside;
  for (int i = 0; i < space.layers_size(); ++i) {
    const v1::Layer& layer = space.layers(i);
    if (names.count(layer.name()) == 0) {
      outside.insert(layer.group());
      // Channels that a layer outside reads stay as they are too.
      outside.insert(layer.input_groups().begin(), layer.input_groups().end());
      continue;
    }
    inside.layers.push_back(i);
    if (layer.keep_ratios_size() > 1) inside.groups.insert(layer.group());
  }
  for (const int group : outside) inside.groups.erase(group);
  return inside;
}

v1::Precision PrecisionOf(int bits) {
  if (bits == 32) return v1::F32;
  return bits == 16 ? v1::BF16 : v1::INT8;
}

double NearestRatio(const v1::Layer& layer, double wanted) {
  double nearest = 1;
  for (const double ratio : layer.keep_ratios()) {
    if (std::abs(ratio - wanted) < std::abs(nearest - wanted)) nearest = ratio;
  }
  return nearest;
}

v1::CompressionPlan PlanOf(const v1::SearchSpace& space, const Inside& inside,
                           const SegmentChoice& choice) {
  v1::CompressionPlan plan = BaselinePlan(space);
  for (const int i : inside.layers) {
    v1::LayerChoice* layer = plan.mutable_layers(i);
    layer->set_precision(PrecisionOf(choice.bits));
    layer->set_weight_bits(choice.bits);
  }
  for (int i = 0; i < space.layers_size(); ++i) {
    if (inside.groups.count(space.layers(i).group()) == 0) continue;
    plan.mutable_layers(i)->set_keep_ratio(
        NearestRatio(space.layers(i), choice.keep));
  }
  return plan;
}

// The same nodes in a compressed graph, whose values have other numbers.
absl::StatusOr<Segment> SameSegment(const Graph& graph, const Segment& segment,
                                    const Graph& compressed) {
  std::map<std::string, int> places;
  for (size_t i = 0; i < compressed.nodes().size(); ++i) {
    places[compressed.nodes()[i].name] = static_cast<int>(i);
  }
  for (const Segment& found : FindSegments(compressed)) {
    const auto last = places.find(graph.nodes()[segment.last].name);
    if (last != places.end() && found.last == last->second) return found;
  }
  return absl::FailedPreconditionError(absl::StrCat(
      "the segment that ends in ", graph.nodes()[segment.last].name,
      " is not found in the compressed network"));
}

void Describe(const v1::SearchSpace& space, const Inside& inside,
              SegmentDecision* decision) {
  int64_t most = -1;
  for (const int i : inside.layers) {
    const v1::Layer& layer = space.layers(i);
    decision->macs += layer.macs();
    if (layer.macs() <= most) continue;
    most = layer.macs();
    decision->in_channels = layer.in_channels();
    decision->out_channels = layer.out_channels();
    decision->out_pixels = layer.out_pixels();
    decision->kernel = layer.kernel_width();
  }
}

}  // namespace

absl::StatusOr<SegmentChoice> ParseSegmentChoice(const std::string& text) {
  const std::vector<std::string> parts = absl::StrSplit(text, ':');
  SegmentChoice choice;
  if (parts.size() != 2 || !absl::SimpleAtoi(parts[0], &choice.bits) ||
      !absl::SimpleAtod(parts[1], &choice.keep)) {
    return absl::InvalidArgumentError(
        absl::StrCat("choice = '", text, "', not BITS:KEEP as in 8:0.5"));
  }
  return choice;
}

absl::StatusOr<std::vector<SegmentDecision>> MakeSegmentDecisions(
    const Graph& graph, const std::vector<SegmentChoice>& choices,
    ActivationSource& source) {
  SpaceOptions space_options;
  space_options.has_bf16 = true;
  // Finer than the kernels' blocks: small networks have few channels.
  space_options.channel_block = 4;
  LATHE_ASSIGN_OR_RETURN(const v1::SearchSpace space,
                         MakeSearchSpace(graph, space_options));
  LATHE_ASSIGN_OR_RETURN(
      const ActivationStats stats,
      CollectActivationStats(graph, source, source.SampleCount()));
  PruneCache cache;
  CompressOptions options;
  options.prune_cache = &cache;
  std::vector<SegmentDecision> decisions;
  for (const Segment& segment : FindSegments(graph)) {
    SegmentDecision decision;
    decision.segment = segment;
    const Inside inside = InsideOf(graph, space, segment);
    Describe(space, inside, &decision);
    for (const SegmentChoice& choice : choices) {
      if (inside.groups.empty() && choice.keep != 1) continue;
      LATHE_ASSIGN_OR_RETURN(
          const Graph compressed,
          Compress(graph, space, PlanOf(space, inside, choice), stats, source,
                   options));
      LATHE_ASSIGN_OR_RETURN(const Segment same,
                             SameSegment(graph, segment, compressed));
      LATHE_ASSIGN_OR_RETURN(Graph part, SegmentGraph(compressed, same));
      decision.choices.push_back(choice);
      decision.graphs.push_back(std::move(part));
    }
    decisions.push_back(std::move(decision));
  }
  if (decisions.size() < 2) {
    return absl::FailedPreconditionError(
        "the network has no place where one tensor carries all that goes on");
  }
  return decisions;
}

}  // namespace lathe

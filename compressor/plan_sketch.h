// Plans carried out roughly and at once, for a first look at what they answer.
//
// Compress fits every layer to what the already compressed layers before it
// give, so that a layer's weights depend on all choices before it. Here each
// layer is fitted to the original's activations alone: it depends on its own
// bits and on which of its input channels are left, and is made once for each
// of these. What the layers before it lost is made good in the mean alone, by
// the biases of layers that lost inputs. All that is needed of the activations
// is each layer's Gram matrix (rebuild: W_S + (G_SS + lambda)^-1 G_SR W_R for
// inputs S that stay and R that go; rounding: gram_rounding.h).
#ifndef LATHE_COMPRESSOR_PLAN_SKETCH_H_
#define LATHE_COMPRESSOR_PLAN_SKETCH_H_

#include <Eigen/Core>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "compressor/activation_source.h"
#include "compressor/activation_stats.h"
#include "compressor/channel_groups.h"
#include "compressor/compress.h"
#include "compressor/gram_rounding.h"
#include "compressor/graph.h"
#include "compressor/tensor.h"
#include "proto/types.pb.h"

namespace lathe {

// Not thread-safe. Equal plans give equal graphs, whatever was sketched before.
class PlanSketcher {
 public:
  // Runs the original once. What is kept of layers takes at most about
  // `most_bytes`; beyond that it is made anew. All must outlive this; `stats`
  // are the graph's.
  //
  // Errors:
  //   Unimplemented - LSTM or GRU, weights that are integers already, or
  //     options that change more than single layers: there is no sketch.
  //   Those of FindChannelGroups and the source.
  static absl::StatusOr<std::unique_ptr<PlanSketcher>> Create(
      const Graph& graph, const v1::SearchSpace& space,
      const ActivationStats& stats, ActivationSource& source,
      const CompressOptions& options, int64_t most_bytes);

  // `plan` carried out. The graph has the shapes, precisions and grids' places
  // of what Compress gives, and other weights.
  //
  // Errors:
  //   InvalidArgument - the plan is not legal in the space.
  //   Those of the source.
  absl::StatusOr<Graph> Sketch(const v1::CompressionPlan& plan);

  // Calibration samples on which a sketch is recentred; 0: it is not.
  int64_t recentre_samples() const { return recentre_samples_; }
  // Layers that had to be made, and those that were there.
  int64_t made_layers() const { return made_layers_; }
  int64_t found_layers() const { return found_layers_; }

 private:
  // What a layer reads in the original. No Gram matrix: too large, or grouped;
  // then weights stay and go to their nearest levels.
  struct Inputs {
    Eigen::MatrixXd gram;
    Eigen::VectorXd means;
  };
  // A layer that reads some of its channels, with all its outputs.
  struct Reading {
    Eigen::MatrixXd weights;  // [unknowns, outputs]
    Eigen::VectorXd means;    // Of the unknowns.
    // What the outputs lack in the mean.
    Eigen::VectorXd shift;
    std::unique_ptr<GramRounding> rounding;  // Null: no Gram matrix.
  };
  // The same at some bits.
  struct Variant {
    Tensor weights;
    std::vector<float> bias;  // Empty: stays as it is.
    // Of integer weights: levels as floats, in the order of the weights.
    std::optional<Tensor> levels;
    std::vector<float> scales;
    std::vector<int8_t> zero_points;
  };
  // Layer and the input channels that are left.
  using ReadingKey = std::pair<int, std::vector<int64_t>>;

  PlanSketcher(const Graph& graph, const v1::SearchSpace& space,
               const ActivationStats& stats, ActivationSource& source,
               const CompressOptions& options)
      : graph_(graph),
        space_(space),
        stats_(stats),
        source_(source),
        options_(options) {}

  absl::Status LookAtOriginal();
  absl::Status SetLayers(const v1::CompressionPlan& plan,
                         const std::vector<bool>& is_kept, GraphParts* parts);
  void SetGrids(const v1::CompressionPlan& plan, GraphParts* parts);
  // Output channels `kept` of the variant become the layer's weights.
  void SetVariant(const LayerChannels& layer, const Variant& variant, int bits,
                  const std::vector<int64_t>& kept, GraphParts* parts) const;
  absl::StatusOr<const Variant*> VariantOf(const ReadingKey& key, int bits);
  absl::StatusOr<Variant> MakeVariant(const ReadingKey& key, int bits);
  const Reading& ReadingOf(const ReadingKey& key);
  Reading MakeReading(const ReadingKey& key) const;
  bool HasSettableBias(const Node& node) const;
  // Forgets all that is kept where there is no room for `bytes` more.
  void MakeRoom(int64_t bytes);

  const Graph& graph_;
  const v1::SearchSpace& space_;
  const ActivationStats& stats_;
  ActivationSource& source_;
  const CompressOptions options_;
  int64_t most_bytes_ = 0;
  int64_t recentre_samples_ = 0;
  ChannelGroups groups_;
  std::vector<double> scores_;                 // By symbol.
  std::vector<std::optional<Inputs>> inputs_;  // By layer.
  std::map<ValueId, ActivationGrid> grids_;    // Chosen so far.
  std::map<ReadingKey, Reading> readings_;
  std::map<std::pair<ReadingKey, int>, Variant> variants_;
  int64_t bytes_ = 0;
  int64_t made_layers_ = 0;
  int64_t found_layers_ = 0;
};

}  // namespace lathe

#endif  // LATHE_COMPRESSOR_PLAN_SKETCH_H_

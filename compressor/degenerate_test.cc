// Calibration data and weights from which nothing can be learnt: every
// technique gives a network that still answers.
#include <cmath>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "compressor/compress.h"
#include "compressor/compression_settings.h"
#include "compressor/search_space.h"
#include "compressor/testing/net_builder.h"
#include "compressor/testing/reference_activation_source.h"
#include "compressor/testing/tensor_matchers.h"
#include "gtest/gtest.h"
#include "proto/plan.h"

namespace lathe {
namespace {

constexpr int kChannels = 3;
const Shape kImage = {kChannels, 6, 6};

// Convolutions with a depthwise one and a residual addition, a normalisation
// with two readers, and a classifier.
Graph SeededNet(uint64_t seed) {
  NetBuilder net(seed);
  const ValueId in = net.Input({kDynamic, kChannels, 6, 6});
  const ValueId first = net.Conv(in, kChannels, 16, 3);
  net.Relu();
  const ValueId depthwise =
      net.Conv(first, 16, 16, 3, /*stride=*/1, /*groups=*/16);
  const ValueId mixed = net.Conv(depthwise, 16, 16, 1);
  net.AddInto(first);
  const ValueId flat =
      net.Op("Flatten", {net.Op("GlobalAveragePool", {mixed})});
  const ValueId normed = net.Op(
      "LayerNormalization", {flat, net.Random({16}, 1), net.Random({16}, 1)},
      {{"axis", int64_t{-1}}});
  const ValueId hidden = net.Op("MatMul", {normed, net.Random({16, 24}, 1)});
  return net.Build({net.Gemm(net.Op("Relu", {hidden}), 24, 4, true)});
}

Graph WithZeroWeights(const Graph& graph) {
  GraphParts parts = graph.parts();
  for (const Node& node : graph.nodes()) {
    const bool is_layer = node.op_type == "Conv" || node.op_type == "MatMul" ||
                          node.op_type == "Gemm";
    if (!is_layer) continue;
    std::optional<Tensor>& weights = parts.values[node.inputs[1]].constant;
    weights = Tensor::Of<float>(weights->shape(),
                                std::vector<float>(weights->size()));
  }
  return *Graph::Create(std::move(parts));
}

Tensor Samples(int64_t count, const std::function<float(int, int)>& number) {
  std::vector<float> values;
  for (int n = 0; n < count; ++n) {
    for (int i = 0; i < ElementCount(kImage); ++i) {
      values.push_back(number(n, i));
    }
  }
  return Tensor::Of<float>({count, kChannels, 6, 6}, values);
}

// A job's settings, and what each layer is asked to be.
struct Technique {
  std::string name;
  std::function<void(v1::CompressionSettings&)> set;
  v1::Precision precision = v1::INT8;
  int bits = 4;
  bool prunes = false;
};

std::vector<Technique> Techniques() {
  std::vector<Technique> all;
  for (const char* method : {"minmax", "average", "percentile", "entropy",
                             "mse", "norm:3", "loss"}) {
    for (const char* activations : {"static", "asymmetric"}) {
      all.push_back({std::string(method) + " " + activations,
                     [=](v1::CompressionSettings& s) {
                       s.set_calibration_method(method);
                       s.set_activations(activations);
                     }});
    }
  }
  for (const char* repairs :
       {"none", "all", "refit+analytic", "equalize", "smooth+bias"}) {
    all.push_back(
        {repairs, [=](v1::CompressionSettings& s) { s.set_repairs(repairs); }});
  }
  for (const char* criterion :
       {"l1", "l2", "fpgm", "activation", "taylor", "redundancy"}) {
    for (const char* rebuild : {"ridge", "recentre"}) {
      all.push_back({std::string(criterion) + " " + rebuild,
                     [=](v1::CompressionSettings& s) {
                       s.set_prune_criterion(criterion);
                       s.set_rebuild(rebuild);
                     },
                     v1::INT8, 8, /*prunes=*/true});
    }
  }
  all.push_back({"per tensor, zero points, 2 bits",
                 [](v1::CompressionSettings& s) {
                   s.set_weight_scales("tensor");
                   s.set_weight_grids("asymmetric");
                 },
                 v1::INT8, 2});
  all.push_back({"zeros and codebook",
                 [](v1::CompressionSettings& s) {
                   s.set_sparsity("2:4");
                   s.set_clusters(8);
                 },
                 v1::F32, 32});
  all.push_back({"low rank",
                 [](v1::CompressionSettings& s) { s.set_low_rank(0.5); },
                 v1::F32, 32});
  all.push_back({"weights alone",
                 [](v1::CompressionSettings& s) { s.add_weight_only_bits(3); },
                 v1::F32, 3});
  all.push_back({"dynamic",
                 [](v1::CompressionSettings& s) { s.set_dynamic("linear"); },
                 v1::INT8_DYNAMIC, 4});
  return all;
}

v1::CompressionPlan PlanOf(const v1::SearchSpace& space,
                           const Technique& technique) {
  v1::CompressionPlan plan = BaselinePlan(space);
  for (int i = 0; i < space.layers_size(); ++i) {
    const v1::Layer& layer = space.layers(i);
    for (const v1::PrecisionOption& option : layer.precisions()) {
      if (option.precision() != technique.precision ||
          option.weight_bits() != technique.bits) {
        continue;
      }
      plan.mutable_layers(i)->set_precision(option.precision());
      plan.mutable_layers(i)->set_weight_bits(option.weight_bits());
    }
    if (!technique.prunes) continue;
    plan.mutable_layers(i)->set_keep_ratio(
        layer.keep_ratios(layer.keep_ratios_size() - 1));
  }
  return plan;
}

// Compresses by every technique with `samples` for calibration; each answers
// finitely on other numbers.
void ExpectAllAnswer(const Graph& graph, const Tensor& samples) {
  const Tensor other = TestRandom(17).NormalTensor({3, kChannels, 6, 6}, 1);
  ReferenceActivationSource source({samples}, 17);
  const auto stats =
      CollectActivationStats(graph, source, source.SampleCount());
  ASSERT_TRUE(stats.ok()) << stats.status();
  for (const Technique& technique : Techniques()) {
    SCOPED_TRACE(technique.name);
    v1::CompressionSettings settings;
    technique.set(settings);
    const auto options = MakeCompressOptions(settings);
    ASSERT_TRUE(options.ok()) << options.status();
    const v1::SearchSpace space =
        *MakeSearchSpace(graph, *MakeSpaceOptions(settings, false));
    const auto compressed = Compress(graph, space, PlanOf(space, technique),
                                     *stats, source, *options);
    ASSERT_TRUE(compressed.ok()) << compressed.status();
    const Tensor answer = Evaluate(*compressed, other);
    for (const float x : answer.values<float>()) {
      ASSERT_TRUE(std::isfinite(x));
    }
  }
}

TEST(Degenerate, ConstantChannels) {
  // Each channel has one number, another one for each: 0, 1 and 2.
  ExpectAllAnswer(SeededNet(1), Samples(8, [](int, int i) {
                    return static_cast<float>(i / 36);
                  }));
}

TEST(Degenerate, SamplesOfZeros) {
  ExpectAllAnswer(SeededNet(2), Samples(8, [](int, int) { return 0.0f; }));
}

TEST(Degenerate, OneSample) {
  ExpectAllAnswer(SeededNet(3), Samples(1, [](int, int i) {
                    return static_cast<float>(i % 7) - 3;
                  }));
}

TEST(Degenerate, WeightsThatAreAllZero) {
  ExpectAllAnswer(WithZeroWeights(SeededNet(4)), Samples(8, [](int n, int i) {
                    return static_cast<float>((n * 31 + i) % 11) - 5;
                  }));
}

TEST(Degenerate, NumbersNearTheEndsOfFloat32) {
  for (const float scale : {1e-30f, 1e12f}) {
    ExpectAllAnswer(SeededNet(5), Samples(8, [scale](int n, int i) {
                      return scale * static_cast<float>((n * 13 + i) % 5 - 2);
                    }));
  }
}

}  // namespace
}  // namespace lathe

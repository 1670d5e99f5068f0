#include "compressor/quantize_layer.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <set>

#include "compressor/quantize_names.h"
#include "compressor/reference_ops.h"
#include "compressor/testing/net_builder.h"
#include "compressor/testing/tensor_matchers.h"
#include "gtest/gtest.h"

namespace lathe {
namespace {

constexpr int64_t kOuts = 6;

// A 3x3 convolution, what it sees and what it should make.
struct ConvCase {
  Node node;
  LayerWeights layer;
  Tensor input;
  Tensor target;
};

Tensor RunConv(const Node& node, const Tensor& weights, const Tensor& bias,
               const Tensor& input) {
  auto out = EvaluateNode(node, 17, {input, weights, bias});
  EXPECT_TRUE(out.ok()) << out.status();
  return (*out)[0];
}

ConvCase MakeConv(uint64_t seed, int64_t samples = 16, int64_t groups = 1) {
  TestRandom random(seed);
  ConvCase made;
  made.node.name = "conv";
  made.node.op_type = "Conv";
  made.node.inputs = {0, 1, 2};
  made.node.outputs = {3};
  made.node.attributes = {{"kernel_shape", std::vector<int64_t>{3, 3}},
                          {"pads", std::vector<int64_t>{1, 1, 1, 1}},
                          {"group", groups}};
  made.layer.weights = random.NormalTensor({kOuts, 6 / groups, 3, 3}, 0.3f);
  made.layer.bias = random.NormalTensor({kOuts}, 0.3f);
  // As behind a ReLU: the mean is not zero.
  const Tensor raw = random.NormalTensor({samples, 6, 6, 6}, 1);
  std::vector<float> positive;
  for (const float x : raw.values<float>())
    positive.push_back(std::max(x, 0.f));
  made.input = Tensor::Of<float>(raw.shape(), positive);
  made.target =
      RunConv(made.node, made.layer.weights, *made.layer.bias, made.input);
  return made;
}

QuantizedLayer Quantized(const ConvCase& conv, int bits,
                         const WeightOptions& options) {
  const LayerSamples samples{conv.input, conv.input, conv.target, 1};
  auto quantized =
      QuantizeLayer(conv.node, conv.layer, 0, bits, samples, options);
  EXPECT_TRUE(quantized.ok()) << quantized.status();
  return quantized.ok() ? *quantized : QuantizedLayer{};
}

Tensor Output(const ConvCase& conv, const QuantizedLayer& layer) {
  return RunConv(
      conv.node,
      DequantizeWeights(layer.weights, conv.layer.weights.shape(), 0),
      *layer.bias, conv.input);
}

WeightOptions Only(const char* repairs) {
  CompressOptions options;
  EXPECT_TRUE(SetRepairs(repairs, &options).ok());
  return options.weights;
}

TEST(QuantizeLayer, EachRepairLowersTheErrorOfTheOutputs) {
  for (const int64_t groups : {1, 2, 6}) {
    for (const int bits : {2, 3, 4}) {
      const ConvCase conv = MakeConv(5, 16, groups);
      const double none = RootMeanSquare(
          Output(conv, Quantized(conv, bits, Only("none"))), conv.target);
      double all = HUGE_VAL;
      for (const char* repair : {"bias", "rounding", "rounding+bias", "all"}) {
        all = RootMeanSquare(Output(conv, Quantized(conv, bits, Only(repair))),
                             conv.target);
        EXPECT_LT(all, none) << repair << " " << bits << " " << groups;
      }
    }
  }
}

TEST(QuantizeLayer, TheBiasBringsTheMeanBack) {
  // Few enough samples that all positions are observed.
  constexpr int64_t kSamples = 4;
  const ConvCase conv = MakeConv(6, kSamples);
  for (const char* repair : {"analytic", "bias"}) {
    const Tensor out = Output(conv, Quantized(conv, 3, Only(repair)));
    const int64_t pixels = 36;
    for (int64_t c = 0; c < kOuts; ++c) {
      double shift = 0;
      double size = 0;
      for (int64_t n = 0; n < kSamples; ++n) {
        for (int64_t i = 0; i < pixels; ++i) {
          const int64_t at = (n * kOuts + c) * pixels + i;
          shift += out.values<float>()[at] - conv.target.values<float>()[at];
          size += std::abs(conv.target.values<float>()[at]);
        }
      }
      // Only rounding is left.
      EXPECT_LT(std::abs(shift), 1e-5 * size) << repair;
    }
  }
}

TEST(QuantizeLayer, TheBiasOfALayerTooLargeForItsGramMatrixBringsTheMeanBack) {
  constexpr int64_t kIns = 4100;
  constexpr int64_t kSamples = 8;
  TestRandom random(3);
  Node node;
  node.name = "gemm";
  node.op_type = "Gemm";
  node.inputs = {0, 1, 2};
  node.outputs = {3};
  node.attributes = {{"transB", int64_t{1}}};
  LayerWeights layer;
  layer.weights = random.NormalTensor({kOuts, kIns}, 0.02f);
  layer.bias = random.NormalTensor({kOuts}, 0.3f);
  const Tensor raw = random.NormalTensor({kSamples, kIns}, 1);
  std::vector<float> positive;
  for (const float x : raw.values<float>()) {
    positive.push_back(std::max(x, 0.f));
  }
  const Tensor input = Tensor::Of<float>({kSamples, kIns}, positive);
  const Tensor target = RunConv(node, layer.weights, *layer.bias, input);
  const auto quantized = QuantizeLayer(
      node, layer, 0, 3, LayerSamples{input, input, target, 1}, Only("all"));
  ASSERT_TRUE(quantized.ok()) << quantized.status();
  const Tensor out = RunConv(
      node, DequantizeWeights(quantized->weights, layer.weights.shape(), 0),
      *quantized->bias, input);
  for (int64_t o = 0; o < kOuts; ++o) {
    double shift = 0;
    for (int64_t n = 0; n < kSamples; ++n) {
      const int64_t at = n * kOuts + o;
      shift += out.values<float>()[at] - target.values<float>()[at];
    }
    EXPECT_LT(std::abs(shift) / kSamples, 1e-5);
  }
}

TEST(QuantizeLayer, OfEightBitsIsRefitOnlyWhereItsInputHasChanged) {
  const ConvCase conv = MakeConv(9);
  const WeightOptions refit = Only("all");
  WeightOptions stays = refit;
  stays.refit_share = 0;
  const WeightOptions always = Only("half-refit+rounding+bias");
  const auto error = [&conv](const Tensor& input, const QuantizedLayer& layer) {
    ConvCase seen = conv;
    seen.input = input;
    return RootMeanSquare(Output(seen, layer), conv.target);
  };
  for (const float change : {0.01f, 0.2f}) {
    // Half of the channels are too small.
    std::vector<float> values(conv.input.values<float>().begin(),
                              conv.input.values<float>().end());
    for (size_t i = 0; i < values.size(); ++i) {
      if (i / 36 % 6 < 3) values[i] *= 1 - change;
    }
    const Tensor input = Tensor::Of<float>(conv.input.shape(), values);
    const auto quantized = [&](const WeightOptions& options, int bits = 8) {
      auto made = QuantizeLayer(conv.node, conv.layer, 0, bits,
                                LayerSamples{input, conv.input, conv.target, 1},
                                options);
      EXPECT_TRUE(made.ok()) << made.status();
      return made.ok() ? *made : QuantizedLayer{};
    };
    const QuantizedLayer without = quantized(stays);
    const QuantizedLayer with = quantized(always);
    EXPECT_NE(with.weights.levels, without.weights.levels) << change;
    EXPECT_EQ(quantized(refit).weights.levels,
              change < 0.1f ? without.weights.levels : with.weights.levels);
    EXPECT_LT(error(input, with), error(input, without)) << change;
    EXPECT_EQ(quantized(refit, 5).weights.levels,
              quantized(always, 5).weights.levels);
  }
}

TEST(QuantizeLayer, OneScaleForAllWhereAskedFor) {
  const ConvCase conv = MakeConv(7);
  for (const char* repair : {"none", "all"}) {
    WeightOptions options = Only(repair);
    options.scale_scope = ScaleScope::kPerTensor;
    EXPECT_EQ(Quantized(conv, 4, options).weights.scales.size(), 1u);
  }
}

TEST(QuantizeLayer, ZerosStayZerosWhenNothingIsToBeMade) {
  ConvCase conv = MakeConv(8);
  conv.layer.weights =
      Tensor::Of<float>({kOuts, 6, 3, 3}, std::vector<float>(kOuts * 54));
  conv.target =
      RunConv(conv.node, conv.layer.weights, *conv.layer.bias, conv.input);
  for (const int bits : {2, 8}) {
    const QuantizedLayer layer = Quantized(conv, bits, Only("all"));
    EXPECT_LT(RootMeanSquare(Output(conv, layer), conv.target), 1e-5);
  }
}

TEST(QuantizeLayer, ConstantAndDeadInputsAndOneSampleAreTakenAsTheyAre) {
  for (const float constant : {0.0f, 3.0f}) {
    ConvCase conv = MakeConv(9, /*samples=*/1);
    conv.input =
        Tensor::Of<float>({1, 6, 6, 6}, std::vector<float>(6 * 36, constant));
    conv.target =
        RunConv(conv.node, conv.layer.weights, *conv.layer.bias, conv.input);
    const QuantizedLayer layer = Quantized(conv, 4, Only("all"));
    const Tensor out = Output(conv, layer);
    for (const float x : out.values<float>()) EXPECT_TRUE(std::isfinite(x));
    for (const float s : layer.weights.scales) EXPECT_GT(s, 0);
  }
}

TEST(QuantizeLayer, RefusesWeightsThatAreNotFinite) {
  ConvCase conv = MakeConv(10);
  std::vector<float> weights(kOuts * 54, 1);
  weights[7] = std::numeric_limits<float>::quiet_NaN();
  conv.layer.weights = Tensor::Of<float>({kOuts, 6, 3, 3}, weights);
  const LayerSamples samples{conv.input, conv.input, conv.target, 1};
  EXPECT_EQ(
      QuantizeLayer(conv.node, conv.layer, 0, 8, samples, {}).status().code(),
      absl::StatusCode::kInvalidArgument);
}

TEST(QuantizeNames, TakesWhatItPromisesAndNothingElse) {
  for (const char* name : {"minmax", "average", "percentile", "entropy", "mse",
                           "percentile:0.99", "norm:2.5"}) {
    EXPECT_TRUE(ParseRangeMethod(name).ok()) << name;
  }
  for (const char* name : {"", "max", "mse:2", "percentile:2", "norm", "norm:0",
                           "norm:x", "percentile:nan"}) {
    EXPECT_FALSE(ParseRangeMethod(name).ok()) << name;
  }
  CompressOptions options;
  for (const char* name : {"", "everything", "all+bias", "bias+", "+bias"}) {
    EXPECT_FALSE(SetRepairs(name, &options).ok()) << name;
  }
}

// Share of zeros.
double ZerosOf(absl::Span<const float> values) {
  return static_cast<double>(std::count(values.begin(), values.end(), 0.0f)) /
         static_cast<double>(values.size());
}

TEST(QuantizeLayer, SparseFloatsKeepTheShareAndLoseLessThanZeroingAlone) {
  const ConvCase conv = MakeConv(11, /*samples=*/64);
  WeightOptions repaired;
  repaired.sparsity = {0.5};
  WeightOptions plain = NearestWeights();
  plain.sparsity = {0.5};
  const QuantizedLayer good = Quantized(conv, kFloatBits, repaired);
  const QuantizedLayer bad = Quantized(conv, kFloatBits, plain);
  for (const QuantizedLayer* layer : {&good, &bad}) {
    EXPECT_TRUE(layer->weights.levels.empty());
    EXPECT_NEAR(ZerosOf(layer->floats->values<float>()), 0.5, 0.01);
  }
  const auto error = [&conv](const QuantizedLayer& layer) {
    return RootMeanSquare(
        RunConv(conv.node, *layer.floats, *layer.bias, conv.input),
        conv.target);
  };
  EXPECT_LT(error(good), error(bad));
}

TEST(QuantizeLayer, LevelsKeepTheZeros) {
  const ConvCase conv = MakeConv(12);
  WeightOptions options;
  options.sparsity = {0, 2, 4};
  for (const int bits : {8, 4, 2}) {
    const std::vector<int8_t> levels =
        Quantized(conv, bits, options).weights.levels;
    // 54 weights an output: 13 fours and 2 that are left over.
    for (size_t row = 0; row < levels.size(); row += 54) {
      for (size_t i = row; i + 4 <= row + 54; i += 4) {
        EXPECT_GE(std::count(levels.begin() + i, levels.begin() + i + 4, 0), 2);
      }
    }
  }
}

TEST(QuantizeLayer, ClusteredFloatsTakeNoMoreValuesThanAllowed) {
  const ConvCase conv = MakeConv(13);
  for (const bool is_sparse : {false, true}) {
    WeightOptions options;
    options.clusters = 8;
    if (is_sparse) options.sparsity = {0.5};
    const QuantizedLayer layer = Quantized(conv, kFloatBits, options);
    const auto values = layer.floats->values<float>();
    EXPECT_LE(std::set<float>(values.begin(), values.end()).size(), 8u);
    if (is_sparse) {
      EXPECT_GE(ZerosOf(values), 0.49);
    }
  }
}

}  // namespace
}  // namespace lathe

// The channel groups, plans and compressed graphs of real networks; skipped
// where the data are not there.
#include <algorithm>
#include <cstdlib>
#include <map>
#include <optional>
#include <ostream>
#include <string>

#include "absl/strings/str_cat.h"
#include "base/file.h"
#include "compressor/canonical.h"
#include "compressor/compress.h"
#include "compressor/cost.h"
#include "compressor/onnx.h"
#include "compressor/search_space.h"
#include "compressor/shape_inference.h"
#include "compressor/testing/net_builder.h"
#include "compressor/testing/reference_activation_source.h"
#include "compressor/testing/tensor_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "proto/plan.h"

namespace lathe {
namespace {

struct NetworkCase {
  const char* name;
  const char* path;
  int layers;
  // Groups that can lose channels.
  int prunable_groups;
  // Layers of the largest group.
  int largest_group;
  // Whether a run by the reference operators takes well under a second.
  bool is_small;
};
void PrintTo(const NetworkCase& c, std::ostream* out) { *out << c.name; }

class RealNetworks : public ::testing::TestWithParam<NetworkCase> {
 protected:
  void SetUp() override {
    const char* folder = std::getenv("LATHE_DATA_DIR");
    const std::string path = absl::StrCat(
        folder != nullptr ? folder : LATHE_SOURCE_DIR "/../shared/data", "/",
        GetParam().path);
    if (!FileExists(path)) {
      GTEST_SKIP() << path << " is not there; set LATHE_DATA_DIR";
    }
    absl::StatusOr<Graph> parsed = ParseOnnx(*ReadFile(path));
    ASSERT_TRUE(parsed.ok()) << parsed.status();
    absl::StatusOr<Graph> graph = Canonicalize(*parsed);
    ASSERT_TRUE(graph.ok()) << graph.status();
    graph_.emplace(*std::move(graph));
    absl::StatusOr<v1::SearchSpace> space = MakeSearchSpace(*graph_, {});
    ASSERT_TRUE(space.ok()) << space.status();
    space_ = *space;
  }

  // Random numbers in the form of the network's input, which may itself take
  // only one sample at a time.
  Tensor RandomInput(int64_t samples) {
    TestRandom random(1);
    Shape shape = (*InputShapes(*graph_, 1))[0];
    shape[0] = samples;
    return random.NormalTensor(shape, 1);
  }

  std::optional<Graph> graph_;
  v1::SearchSpace space_;
};

TEST_P(RealNetworks, OfferTheGroupsThatTheirDesignHas) {
  EXPECT_EQ(space_.layers_size(), GetParam().layers);
  std::map<int, int> layers_of_group;
  std::map<int, bool> is_prunable;
  for (const v1::Layer& layer : space_.layers()) {
    ++layers_of_group[layer.group()];
    is_prunable[layer.group()] = layer.keep_ratios_size() > 1;
  }
  int prunable = 0;
  int largest = 0;
  for (const auto& [group, count] : layers_of_group) {
    largest = std::max(largest, count);
    prunable += is_prunable[group] ? 1 : 0;
  }
  EXPECT_EQ(prunable, GetParam().prunable_groups);
  EXPECT_EQ(largest, GetParam().largest_group);
}

TEST_P(RealNetworks, LoseTheChannelsOfALegalPlanAndStillRun) {
  v1::CompressionPlan plan = BaselinePlan(space_);
  for (int i = 0; i < plan.layers_size(); ++i) {
    const auto& ratios = space_.layers(i).keep_ratios();
    plan.mutable_layers(i)->set_keep_ratio(ratios[ratios.size() - 1]);
  }
  if (GetParam().is_small) {
    plan.mutable_layers(1)->set_precision(v1::INT8);
    plan.mutable_layers(1)->set_weight_bits(4);
  }
  ReferenceActivationSource source({RandomInput(2)}, graph_->parts().opset);
  CompressOptions options;
  if (!GetParam().is_small) {
    options.prune.criterion = PruneCriterion::kL1;
    options.prune.rebuild = RebuildMethod::kNone;
  }
  const absl::StatusOr<Graph> compressed =
      Compress(*graph_, space_, plan, {}, source, options);
  ASSERT_TRUE(compressed.ok()) << compressed.status();

  const auto infos = InferShapes(*compressed, *InputShapes(*compressed, 1));
  ASSERT_TRUE(infos.ok()) << infos.status();
  const auto before = InferShapes(*graph_, *InputShapes(*graph_, 1));
  const ValueId out = graph_->outputs()[0];
  EXPECT_EQ((*infos)[out].shape, (*before)[out].shape);
  EXPECT_LT(ComputeCost(*compressed)->macs, ComputeCost(*graph_)->macs);
  EXPECT_LT(ComputeCost(*compressed)->packed_bytes,
            ComputeCost(*graph_)->packed_bytes);
  if (GetParam().is_small) {
    EXPECT_EQ(Evaluate(*compressed, RandomInput(1)).shape(),
              (*infos)[out].shape);
  }
}

INSTANTIATE_TEST_SUITE_P(
    Models, RealNetworks,
    ::testing::Values(
        // Three residual stages, their inner convolutions, and the strided
        // ones between them.
        NetworkCase{"ResNet8", "cifar10/resnet8.onnx", 10, 6, 2, true},
        NetworkCase{"WideResNet8", "cifar10/resnet8_wide.onnx", 10, 6, 2,
                    false},
        // Padded shortcuts make one group of all stages; each of the nine
        // blocks has an inner convolution.
        NetworkCase{"ResNet20", "cifar10/resnet20.onnx", 20, 10, 10, true},
        NetworkCase{"DsCnn", "kws/dscnn_tiny.onnx", 10, 5, 2, true},
        // All but the classifier.
        NetworkCase{"SqueezeNet", "imagenet/squeezenet1_1.onnx", 26, 25, 1,
                    false},
        NetworkCase{"MnistCnn", "mnist/mnist_cnn.onnx", 3, 1, 1, true},
        // The heads and the inner layers of four transformer blocks.
        NetworkCase{"Transformer", "cifar10/cct4_3x1.onnx", 19, 8, 9, false},
        // The hidden units.
        NetworkCase{"MnistLstm", "mnist/mnist_lstm.onnx", 2, 1, 1, true},
        NetworkCase{"KeywordLstm", "kws/lstm_arm_s.onnx", 2, 1, 1, true}),
    [](const ::testing::TestParamInfo<NetworkCase>& info) {
      return info.param.name;
    });

}  // namespace
}  // namespace lathe

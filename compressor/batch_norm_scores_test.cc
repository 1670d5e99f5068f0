#include "compressor/batch_norm_scores.h"

#include "compressor/canonical.h"
#include "compressor/channel_groups.h"
#include "compressor/channel_scores.h"
#include "compressor/prune.h"
#include "compressor/testing/net_builder.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace lathe {
namespace {

using ::testing::HasSubstr;

// A convolution with a batch norm behind it, and a classifier.
Graph BatchNormNet(bool has_norm) {
  NetBuilder net(1);
  ValueId x = net.Conv(net.Input({kDynamic, 3, 4, 4}), 3, 16, 3);
  if (has_norm) {
    std::vector<float> gamma(16, 1);
    for (int i = 0; i < 16; ++i) gamma[i] = i % 2 == 0 ? -3.0f : 0.1f;
    const ValueId ones =
        net.Constant(Tensor::Of<float>({16}, std::vector<float>(16, 1)));
    x = net.Op("BatchNormalization",
               {x, net.Constant(Tensor::Of<float>({16}, gamma)),
                net.Random({16}, 1), net.Random({16}, 1), ones});
  }
  return net.Build({net.Conv(x, 16, 4, 1)});
}

TEST(Gamma, ChannelsOfSmallBatchNormScalesGo) {
  const Graph parsed = BatchNormNet(true);
  const Graph graph = *Canonicalize(parsed);
  const ChannelGroups groups = *FindChannelGroups(graph);
  const auto scores = ScoreByGamma(graph, groups, BatchNormScales(parsed));
  ASSERT_TRUE(scores.ok()) << scores.status();
  const std::vector<bool> is_kept =
      ChooseKeptSymbols(groups, *scores, {0.5, 1});
  for (const int64_t channel :
       KeptIndices(groups.layers[0].out_symbols, is_kept)) {
    EXPECT_EQ(channel % 2, 0);
  }
}

TEST(Gamma, NeedsBatchNorms) {
  const Graph graph = BatchNormNet(false);
  const ChannelGroups groups = *FindChannelGroups(graph);
  const absl::Status status =
      ScoreByGamma(graph, groups, BatchNormScales(graph)).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(status.message()),
              HasSubstr("have no batch norm behind them"));
}

}  // namespace
}  // namespace lathe

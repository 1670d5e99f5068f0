#include "compressor/compression_settings.h"

#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace lathe {
namespace {

using ::testing::HasSubstr;

TEST(CompressionSettings, UnsetOnesAreTheDefaults) {
  const CompressOptions defaults;
  const CompressOptions made = *MakeCompressOptions({});
  EXPECT_EQ(made.range.method, defaults.range.method);
  EXPECT_EQ(made.weights.rounding, defaults.weights.rounding);
  EXPECT_EQ(made.weights.scale_scope, defaults.weights.scale_scope);
  EXPECT_EQ(made.prune.criterion, defaults.prune.criterion);
  EXPECT_EQ(made.prune.rebuild, defaults.prune.rebuild);
}

TEST(CompressionSettings, NamesSetTheOptions) {
  v1::CompressionSettings settings;
  settings.set_calibration_method("percentile:0.999");
  settings.set_repairs("refit+bias");
  settings.set_weight_scales("tensor");
  settings.set_activations("static");
  settings.set_prune_criterion("fpgm");
  settings.set_rebuild("recentre");
  settings.set_sparsity("2:4");
  settings.set_clusters(16);
  settings.set_low_rank(0.9);
  const CompressOptions made = *MakeCompressOptions(settings);
  EXPECT_EQ(made.range.method, RangeMethod::kPercentile);
  EXPECT_DOUBLE_EQ(made.range.percentile, 0.999);
  EXPECT_EQ(made.range.grids, ActivationGrids::kSymmetric);
  EXPECT_EQ(made.weights.refit_share, 1);
  EXPECT_EQ(made.weights.rounding, WeightRounding::kNearest);
  EXPECT_EQ(made.weights.bias, BiasCorrection::kEmpirical);
  EXPECT_EQ(made.weights.scale_scope, ScaleScope::kPerTensor);
  EXPECT_EQ(made.prune.criterion, PruneCriterion::kGeometricMedian);
  EXPECT_EQ(made.prune.rebuild, RebuildMethod::kRecentre);
  EXPECT_EQ(made.weights.sparsity.of, 4);
  EXPECT_EQ(made.weights.clusters, 16);
  EXPECT_DOUBLE_EQ(made.low_rank, 0.9);
}

TEST(CompressionSettings, WeightOnlyWidthsAreOfferedDescending) {
  v1::CompressionSettings settings;
  settings.add_weight_only_bits(4);
  settings.add_weight_only_bits(8);
  EXPECT_THAT(MakeSpaceOptions(settings, true)->weight_only_bits,
              ::testing::ElementsAre(8, 4));
  settings.add_weight_only_bits(9);
  EXPECT_THAT(std::string(MakeSpaceOptions(settings, true).status().message()),
              HasSubstr("weight_only_bits: 9"));
}

TEST(CompressionSettings, NumbersOutOfRangeAreRefused) {
  v1::CompressionSettings settings;
  settings.set_clusters(1);
  EXPECT_THAT(std::string(MakeCompressOptions(settings).status().message()),
              HasSubstr("clusters: 1"));
  settings.set_clusters(0);
  settings.set_low_rank(1.5);
  EXPECT_THAT(std::string(MakeCompressOptions(settings).status().message()),
              HasSubstr("low_rank: 1.5"));
  settings.set_low_rank(0);
  settings.set_sparsity("4:2");
  EXPECT_THAT(std::string(MakeCompressOptions(settings).status().message()),
              HasSubstr("sparsity: "));
}

TEST(CompressionSettings, AWrongNameIsRefusedWithItsField) {
  const auto message =
      [](void (v1::CompressionSettings::*set)(const std::string&)) {
        v1::CompressionSettings settings;
        (settings.*set)("nonesuch");
        return std::string(MakeCompressOptions(settings).status().message());
      };
  using S = v1::CompressionSettings;
  EXPECT_THAT(message(&S::set_calibration_method<const std::string&>),
              HasSubstr("calibration_method: "));
  EXPECT_THAT(message(&S::set_repairs<const std::string&>),
              HasSubstr("repairs: "));
  EXPECT_THAT(message(&S::set_weight_scales<const std::string&>),
              HasSubstr("weight_scales: 'nonesuch' is not channel or tensor"));
  EXPECT_THAT(message(&S::set_activations<const std::string&>),
              HasSubstr("activations: "));
  EXPECT_THAT(message(&S::set_prune_criterion<const std::string&>),
              HasSubstr("prune_criterion: "));
  EXPECT_THAT(message(&S::set_rebuild<const std::string&>),
              HasSubstr("rebuild: 'nonesuch' is not ridge"));
}

}  // namespace
}  // namespace lathe

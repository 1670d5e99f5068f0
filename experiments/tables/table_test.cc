// Tables are read as they were written, and a game charges every first look.
#include "experiments/tables/table.h"

#include <cstdlib>
#include <map>
#include <string>
#include <vector>

#include "base/file.h"
#include "data/npz.h"
#include "data/testing/arrays.h"
#include "experiments/tables/table_game.h"
#include "gtest/gtest.h"

namespace lathe {
namespace {

Array Floats(std::vector<int64_t> shape, const std::vector<float>& values) {
  return ArrayOf(Array::Type::kFloat32, std::move(shape), values);
}
Array Integers(std::vector<int64_t> shape, const std::vector<int64_t>& values) {
  return ArrayOf(Array::Type::kInt64, std::move(shape), values);
}

// Two decisions of two choices: (8 bits, all) and (4 bits, half).
std::map<std::string, Array> SmallTable() {
  return {{"shape", Integers({2}, {2, 2})},
          {"choice_bits", Integers({2, 2}, {8, 4, 8, 4})},
          {"choice_keep", Floats({2, 2}, {1, 0.5f, 1, 0.5f})},
          {"features", Floats({2, 5}, {3, 8, 16, 3, 3456, 8, 8, 16, 3, 9216})},
          {"kl", Floats({4}, {0, 0.1f, 0.2f, 0.4f})},
          {"accuracy", Floats({4}, {0.9f, 0.85f, 0.8f, 0.6f})},
          {"quality", Floats({4}, {0.9f, 0.85f, 0.8f, 0.6f})},
          {"latency_ratio", Floats({4}, {1, 0.7f, 0.6f, 0.4f})},
          {"size_ratio", Floats({4}, {1, 0.5f, 0.6f, 0.25f})},
          {"budget_latency", Floats({2}, {0.5f, 1})},
          {"budget_size", Floats({2}, {0.5f, 1})},
          {"quality_reference", Floats({}, {0.5f})},
          // (0.6 + 0.6 + 0.85 + 0.9) / 4 - 0.5.
          {"exhaustive_hypervolume", Floats({}, {0.2375f})}};
}

std::string Write(const std::map<std::string, Array>& arrays) {
  std::string path = testing::TempDir() + "/table.npz";
  EXPECT_TRUE(WriteFileAtomically(path, *SerializeNpz(arrays)).ok());
  return path;
}

TEST(Table, IsReadAsWritten) {
  const auto table = ReadTable(Write(SmallTable()));
  ASSERT_TRUE(table.ok()) << table.status();
  EXPECT_EQ(table->ConfigurationCount(), 4);
  EXPECT_EQ(table->IndexOf({1, 0}), 2);
  EXPECT_EQ(table->decisions[1].bits, (std::vector<int>{8, 4}));
  EXPECT_EQ(table->decisions[1].out_channels, 8);
}

TEST(Table, AllConfigurationsTogetherHaveTheWholeHypervolume) {
  const ConfigurationTable table = *ReadTable(Write(SmallTable()));
  TableHypervolume hypervolume(&table);
  EXPECT_EQ(hypervolume.Ratio(), 0);
  for (int64_t i = 0; i < 4; ++i) hypervolume.Add(i);
  EXPECT_NEAR(hypervolume.Ratio(), 1, 1e-6);
}

TEST(Table, SaysWhatIsWrong) {
  const auto error_of = [](const std::map<std::string, Array>& arrays) {
    return std::string(ReadTable(Write(arrays)).status().message());
  };
  auto missing = SmallTable();
  missing.erase("kl");
  EXPECT_NE(error_of(missing).find("no array 'kl'"), std::string::npos);
  auto shorter = SmallTable();
  shorter["quality"] = Floats({3}, {0.9f, 0.8f, 0.7f});
  EXPECT_NE(error_of(shorter).find("'quality' has 3 elements, not 4"),
            std::string::npos);
  auto wide = SmallTable();
  wide["choice_bits"] = Integers({2, 2}, {8, 9, 8, 4});
  EXPECT_NE(error_of(wide).find("bits = 9"), std::string::npos);
  auto infinite = SmallTable();
  infinite["latency_ratio"] = Floats({4}, {1, 0.7f, HUGE_VALF, 0.4f});
  EXPECT_NE(error_of(infinite).find("not finite"), std::string::npos);
  EXPECT_TRUE(absl::IsNotFound(ReadTable("/none.npz").status()));
}

TEST(TableGame, ChargesFirstLooksOnlyAndFindsEverythingInASmallTable) {
  const ConfigurationTable table = *ReadTable(Write(SmallTable()));
  GameOptions options;
  options.agent = "random";
  options.evaluations = 10;
  options.checkpoints = {1, 10};
  const auto result = PlayOnTable(table, options);
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->evaluations, 4);
  ASSERT_EQ(result->hypervolume_ratios.size(), 2u);
  EXPECT_LT(result->hypervolume_ratios[0], 1);
  EXPECT_NEAR(result->hypervolume_ratios[1], 1, 1e-6);
}

TEST(TableGame, NeedsAnUncompressedEntry) {
  auto arrays = SmallTable();
  arrays["choice_keep"] = Floats({2, 2}, {0.5f, 1, 1, 0.5f});
  const ConfigurationTable table = *ReadTable(Write(arrays));
  EXPECT_FALSE(PlayOnTable(table, {}).ok());
}

}  // namespace
}  // namespace lathe

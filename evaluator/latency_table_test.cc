#include "evaluator/latency_table.h"

#include <set>
#include <string>

#include "compressor/activation_stats.h"
#include "compressor/canonical.h"
#include "compressor/search_space.h"
#include "evaluator/calibration_source.h"
#include "evaluator/job_data.h"
#include "evaluator/testing/small_job.h"
#include "gtest/gtest.h"

namespace lathe {
namespace {

// What the entries stand for, without their times.
std::multiset<std::string> Settings(const v1::LatencyTable& table) {
  std::multiset<std::string> settings;
  for (v1::LatencyTable::Entry entry : table.entries()) {
    EXPECT_GT(entry.latency_us(), 0);
    entry.clear_latency_us();
    entry.clear_reorder_us();
    settings.insert(entry.SerializeAsString());
  }
  return settings;
}

TEST(LatencyTable, ModelsThatAreNotKeptAreMadeAnewInEveryRound) {
  const Graph graph = *Canonicalize(SmallNetwork());
  const v1::SearchSpace space = *MakeSearchSpace(graph, {});
  const auto data =
      *OpenJobData(graph, {{"data", SmallDataset(50)}}, SmallSpec().dataset());
  CalibrationSource source(&data->calibration.inputs, data->calibration.samples,
                           17);
  const ActivationStats stats =
      *CollectActivationStats(graph, source, source.SampleCount());
  const auto settings = [&](int64_t rounds, int64_t most_bytes) {
    LatencyTableOptions options;
    options.rounds = rounds;
    options.most_bytes = most_bytes;
    const auto table = BuildLatencyTable(graph, space, stats, source, options);
    EXPECT_TRUE(table.ok()) << table.status();
    return Settings(*table);
  };
  const std::multiset<std::string> once = settings(1, 0);
  EXPECT_GT(once.size(), 10u);
  EXPECT_EQ(settings(2, 0), once);
  // Of one of them there is room.
  EXPECT_EQ(settings(2, 40'000), once);
  EXPECT_EQ(settings(2, int64_t{1} << 30), once);
}

}  // namespace
}  // namespace lathe

// Memory of the calibration's statistics.
#include <cstdint>
#include <fstream>
#include <string>
#include <vector>

#include "absl/base/config.h"
#include "compressor/activation_stats.h"
#include "compressor/testing/net_builder.h"
#include "evaluator/node_runner.h"
#include "gtest/gtest.h"

namespace lathe {
namespace {

// Random images made when they are asked for, so that only what calibration
// keeps takes memory.
class EndlessImages : public ActivationSource {
 public:
  int64_t SampleCount() const override { return 10000; }
  absl::StatusOr<std::vector<Tensor>> Inputs(int64_t first,
                                             int64_t count) override {
    TestRandom random(static_cast<uint64_t>(first));
    std::vector<float> values(count * 3 * 32 * 32);
    for (float& value : values) value = random.Uniform(1);
    return std::vector<Tensor>{Tensor::Of<float>({count, 3, 32, 32}, values)};
  }
  absl::StatusOr<std::vector<Tensor>> Run(
      const Node& node, absl::Span<const Tensor> inputs) override {
    return RunNode(node, 17, inputs);
  }
};

// A line of /proc/self/status, in KiB; 0 where there is none.
int64_t StatusKib(const std::string& key) {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.rfind(key + ":", 0) == 0) {
      return std::stoll(line.substr(key.size() + 1));
    }
  }
  return 0;
}

TEST(CalibrationMemory, TenThousandImagesTakeLessThan200MegabytesMore) {
#if defined(ABSL_HAVE_ADDRESS_SANITIZER) || defined(ABSL_HAVE_THREAD_SANITIZER)
  GTEST_SKIP() << "a sanitizer's memory would count";
#endif
  NetBuilder net(1);
  ValueId x = net.Conv(net.Input({kDynamic, 3, 32, 32}), 3, 16, 3);
  net.Relu();
  x = net.Conv(x, 16, 16, 3, /*stride=*/2);
  net.Relu();
  const Graph graph = net.Build({net.Op("GlobalAveragePool", {x})});
  std::ofstream("/proc/self/clear_refs") << "5";  // Resets the peak.
  const int64_t before = StatusKib("VmRSS");
  if (before == 0 || StatusKib("VmHWM") > before + 51200) {
    GTEST_SKIP() << "the peak of this process cannot be reset here";
  }
  EndlessImages source;
  const auto stats = CollectActivationStats(graph, source, 10000);
  ASSERT_TRUE(stats.ok()) << stats.status();
  EXPECT_EQ(stats->samples, 10000);
  EXPECT_LT(StatusKib("VmHWM") - before, 200 * 1024);
}

}  // namespace
}  // namespace lathe

#include "evaluator/memory_plan.h"

#include <algorithm>
#include <random>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace lathe {
namespace {

TEST(MemoryPlan, BuffersOfDifferentTimesShareMemory) {
  const MemoryPlan plan = PlanMemory({{100, 0, 1}, {100, 2, 3}});
  EXPECT_EQ(plan.offsets[0], plan.offsets[1]);
  EXPECT_EQ(plan.arena_bytes, 128);
  EXPECT_EQ(plan.peak_bytes, 100);
}

TEST(MemoryPlan, ABufferThatDiesWhereAnotherIsBornDoesNotShareWithIt) {
  const MemoryPlan plan = PlanMemory({{64, 0, 1}, {64, 1, 2}});
  EXPECT_NE(plan.offsets[0], plan.offsets[1]);
  EXPECT_EQ(plan.arena_bytes, 128);
  EXPECT_EQ(plan.peak_bytes, 128);
}

TEST(MemoryPlan, PersistentBuffersCountAsAliveButTakeNoArena) {
  const MemoryPlan plan = PlanMemory({{1000, 0, 5, true}, {64, 1, 2}});
  EXPECT_EQ(plan.arena_bytes, 64);
  EXPECT_EQ(plan.peak_bytes, 1064);
}

TEST(MemoryPlan, RandomBuffersNeverCollideAndStayNearTheLowerBound) {
  std::mt19937 random(7);
  for (int round = 0; round < 200; ++round) {
    std::vector<BufferLife> buffers;
    for (int i = 0; i < 20; ++i) {
      const int first = random() % 30;
      buffers.push_back({static_cast<int64_t>(random() % 1000 + 1), first,
                         static_cast<int>(first + random() % 6)});
    }
    const MemoryPlan plan = PlanMemory(buffers);
    EXPECT_LE(plan.peak_bytes, plan.arena_bytes) << "round " << round;
    for (int a = 0; a < 20; ++a) {
      EXPECT_EQ(plan.offsets[a] % kBufferAlignment, 0);
      for (int b = 0; b < a; ++b) {
        const bool meet = buffers[a].first <= buffers[b].last &&
                          buffers[b].first <= buffers[a].last;
        const bool touch =
            plan.offsets[a] < plan.offsets[b] + buffers[b].bytes &&
            plan.offsets[b] < plan.offsets[a] + buffers[a].bytes;
        EXPECT_FALSE(meet && touch) << "round " << round;
      }
    }
  }
}

}  // namespace
}  // namespace lathe

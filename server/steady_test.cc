#include "server/steady.h"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "server/sweeper.h"
#include "server/work_pool.h"

namespace lathe {
namespace {

TEST(Wakeup, ReturnsAtOnceWhenItWasSetBefore) {
  Wakeup wakeup;
  wakeup.Set();
  EXPECT_TRUE(wakeup.WaitUntil(absl::InfiniteFuture()));
  EXPECT_FALSE(wakeup.WaitUntil(SteadyNow() - absl::Seconds(1)));
}

TEST(Wakeup, IsSetByAnotherThread) {
  Wakeup wakeup;
  std::thread other([&] { wakeup.Set(); });
  EXPECT_TRUE(wakeup.WaitUntil(SteadyNow() + absl::Seconds(60)));
  other.join();
}

TEST(Sweeper, SweepsAgainAndAgainUntilDestroyed) {
  std::atomic<int> sweeps{0};
  Wakeup enough;
  {
    const Sweeper sweeper(absl::Milliseconds(1), [&] {
      if (++sweeps == 3) enough.Set();
    });
    EXPECT_TRUE(enough.WaitUntil(SteadyNow() + absl::Seconds(60)));
  }
  EXPECT_GE(sweeps, 3);
}

TEST(WorkPool, RunsEverythingBeforeItEnds) {
  std::atomic<int> done{0};
  {
    WorkPool pool(/*threads=*/4);
    for (int i = 0; i < 1000; ++i) pool.Run([&] { ++done; });
  }
  EXPECT_EQ(done, 1000);
}

}  // namespace
}  // namespace lathe

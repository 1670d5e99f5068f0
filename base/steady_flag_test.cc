#include "base/steady_flag.h"

#include <thread>

#include "gtest/gtest.h"

namespace lathe {
namespace {

TEST(SteadyFlag, EndsAWaitAndStaysSet) {
  SteadyFlag flag;
  EXPECT_FALSE(flag.is_set());
  EXPECT_FALSE(flag.WaitFor(absl::Milliseconds(1)));
  EXPECT_FALSE(flag.WaitFor(-absl::Seconds(1)));
  std::thread other([&flag] { flag.Set(); });
  EXPECT_TRUE(flag.WaitFor(absl::InfiniteDuration()));
  other.join();
  EXPECT_TRUE(flag.is_set());
  EXPECT_TRUE(flag.WaitFor(absl::ZeroDuration()));
}

}  // namespace
}  // namespace lathe

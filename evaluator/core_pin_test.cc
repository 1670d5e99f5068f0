#include "evaluator/core_pin.h"

#include <gtest/gtest.h>

namespace lathe {
namespace {

cpu_set_t CurrentCores() {
  cpu_set_t cores;
  EXPECT_EQ(sched_getaffinity(0, sizeof(cores), &cores), 0);
  return cores;
}

int FirstCore(const cpu_set_t& cores) {
  int core = 0;
  while (!CPU_ISSET(core, &cores)) ++core;
  return core;
}

TEST(CorePin, PinsToOneCoreAndRestoresTheOthers) {
  const cpu_set_t before = CurrentCores();
  {
    const auto pin = CorePin::Pin(FirstCore(before));
    ASSERT_TRUE(pin.ok()) << pin.status();
    const cpu_set_t pinned = CurrentCores();
    EXPECT_EQ(CPU_COUNT(&pinned), 1);
  }
  const cpu_set_t after = CurrentCores();
  EXPECT_TRUE(CPU_EQUAL(&before, &after));
}

TEST(CorePin, WithoutACorePinsNothing) {
  const cpu_set_t before = CurrentCores();
  const auto pin = CorePin::Pin(std::nullopt);
  ASSERT_TRUE(pin.ok()) << pin.status();
  const cpu_set_t during = CurrentCores();
  EXPECT_TRUE(CPU_EQUAL(&before, &during));
}

TEST(CorePin, RefusesCoresThatDoNotExist) {
  for (const int core : {-1, CPU_SETSIZE - 1, CPU_SETSIZE}) {
    EXPECT_EQ(CorePin::Pin(core).status().code(),
              absl::StatusCode::kUnavailable)
        << core;
  }
}

}  // namespace
}  // namespace lathe

#include "base/queue.h"

#include <thread>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace lathe {
namespace {

TEST(BlockingQueue, KeepsOrder) {
  BlockingQueue<int> queue(/*capacity=*/3);
  queue.Push(1);
  queue.Push(2);
  EXPECT_EQ(queue.Pop(), 1);
  EXPECT_EQ(queue.Pop(), 2);
}

TEST(BlockingQueue, TakesAllAtOnce) {
  BlockingQueue<int> queue(/*capacity=*/3);
  queue.Push(1);
  queue.Push(2);
  EXPECT_THAT(queue.PopAll(), testing::ElementsAre(1, 2));
}

TEST(BlockingQueue, GivesWhatIsLeftAfterClosingAndThenNothing) {
  BlockingQueue<int> queue(/*capacity=*/3);
  queue.Push(1);
  queue.Close();
  EXPECT_FALSE(queue.Push(2));
  EXPECT_EQ(queue.Pop(), 1);
  EXPECT_EQ(queue.Pop(), std::nullopt);
  EXPECT_TRUE(queue.PopAll().empty());
}

TEST(BlockingQueue, WakesAWaitingProducer) {
  BlockingQueue<int> queue(/*capacity=*/1);
  queue.Push(1);
  std::thread producer([&queue] { queue.Push(2); });
  EXPECT_EQ(queue.Pop(), 1);
  EXPECT_EQ(queue.Pop(), 2);
  producer.join();
}

}  // namespace
}  // namespace lathe

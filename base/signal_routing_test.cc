#include "base/signal_routing.h"

#include <signal.h>
#include <time.h>

#include <atomic>
#include <chrono>
#include <thread>

#include "gtest/gtest.h"

namespace lathe {
namespace {

TEST(SignalRouting, WhatReachesAThreadThatBlocksNothingGoesToTheOneThatWaits) {
  std::atomic<bool> is_over = false;
  // In a call that ThreadSanitizer sees: it runs handlers only then.
  std::thread unaware([&is_over] {
    while (!is_over) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  });
  sigset_t signals, old;
  sigemptyset(&signals);
  sigaddset(&signals, SIGUSR2);
  pthread_sigmask(SIG_BLOCK, &signals, &old);
  {
    const SignalRouting routing({SIGUSR2}, pthread_self());
    pthread_kill(unaware.native_handle(), SIGUSR2);
    const timespec limit = {60, 0};
    EXPECT_EQ(sigtimedwait(&signals, nullptr, &limit), SIGUSR2);
  }
  struct sigaction action = {};
  sigaction(SIGUSR2, nullptr, &action);
  EXPECT_EQ(action.sa_handler, SIG_DFL);
  pthread_sigmask(SIG_SETMASK, &old, nullptr);
  is_over = true;
  unaware.join();
}

}  // namespace
}  // namespace lathe

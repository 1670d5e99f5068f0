#include "base/signal_routing.h"

#include <signal.h>
#include <time.h>

#include <future>
#include <thread>

#include "gtest/gtest.h"

namespace lathe {
namespace {

TEST(SignalRouting, WhatReachesAThreadThatBlocksNothingGoesToTheOneThatWaits) {
  std::promise<void> end;
  std::thread unaware([&end] { end.get_future().wait(); });
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
  end.set_value();
  unaware.join();
}

}  // namespace
}  // namespace lathe

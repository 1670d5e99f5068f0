#include "server/sweeper.h"

#include <utility>

namespace lathe {

Sweeper::Sweeper(absl::Duration interval, std::function<void()> sweep)
    : thread_([this, interval, sweep = std::move(sweep)] {
        while (!is_stopping_) {
          wakeup_.WaitUntil(SteadyNow() + interval);
          if (!is_stopping_) sweep();
        }
      }) {}

Sweeper::~Sweeper() {
  is_stopping_ = true;
  wakeup_.Set();
  thread_.join();
}

}  // namespace lathe

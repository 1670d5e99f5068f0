#include "server/work_pool.h"

#include <optional>
#include <utility>

namespace lathe {
namespace {

// Far above what a thousand workers can have under way at once, so that Run
// does not wait in practice.
constexpr size_t kMostQueued = 1'000'000;

}  // namespace

WorkPool::WorkPool(int threads) : queue_(kMostQueued) {
  for (int i = 0; i < threads; ++i) {
    threads_.emplace_back([this] {
      while (std::optional<std::function<void()>> work = queue_.Pop()) {
        (*work)();
      }
    });
  }
}

WorkPool::~WorkPool() {
  queue_.Close();
  for (std::thread& thread : threads_) thread.join();
}

void WorkPool::Run(std::function<void()> work) { queue_.Push(std::move(work)); }

}  // namespace lathe

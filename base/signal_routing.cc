#include "base/signal_routing.h"

#include <atomic>

namespace lathe {
namespace {

std::atomic<pthread_t> destination;
static_assert(std::atomic<pthread_t>::is_always_lock_free);

void PassOn(int signal) { pthread_kill(destination.load(), signal); }

}  // namespace

SignalRouting::SignalRouting(const std::vector<int>& signals,
                             pthread_t thread) {
  destination = thread;
  for (const int signal : signals) {
    struct sigaction action = {};
    action.sa_handler = PassOn;
    action.sa_flags = SA_RESTART;
    OldAction old;
    old.signal = signal;
    sigaction(signal, &action, &old.action);
    old_actions_.push_back(old);
  }
}

SignalRouting::~SignalRouting() {
  for (const OldAction& old : old_actions_) {
    sigaction(old.signal, &old.action, nullptr);
  }
}

}  // namespace lathe

// Signals for one thread of a process, whichever thread the kernel picks.
#ifndef LATHE_BASE_SIGNAL_ROUTING_H_
#define LATHE_BASE_SIGNAL_ROUTING_H_

#include <pthread.h>
#include <signal.h>

#include <vector>

namespace lathe {

// Libraries (OpenBLAS, libtorch) start threads before main() that block no
// signal, so that blocking them in all threads of one's own is not enough:
// while this lives, a signal that reaches a thread which does not block it goes
// on to `thread`, which waits for it. At most one at a time in a process.
class SignalRouting {
 public:
  SignalRouting(const std::vector<int>& signals, pthread_t thread);
  // Restores the actions there were.
  ~SignalRouting();
  SignalRouting(const SignalRouting&) = delete;
  SignalRouting& operator=(const SignalRouting&) = delete;

 private:
  struct OldAction {
    int signal = 0;
    struct sigaction action = {};
  };
  std::vector<OldAction> old_actions_;
};

}  // namespace lathe

#endif  // LATHE_BASE_SIGNAL_ROUTING_H_

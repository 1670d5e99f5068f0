#include "evaluator/thread_scope.h"

#include <omp.h>

#include "evaluator/executor.h"

namespace lathe {

ThreadScope::ThreadScope(int threads) : before_(omp_get_max_threads()) {
  // How many of this thread's helpers are set up.
  thread_local int prepared = 1;
  if (threads > prepared) {
    SetThreads(threads);
    prepared = threads;
  } else if (threads != before_) {
    omp_set_num_threads(threads);
  }
}

ThreadScope::~ThreadScope() { omp_set_num_threads(before_); }

}  // namespace lathe

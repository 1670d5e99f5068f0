// libtorch on the caller's thread alone.
#ifndef LATHE_AGENT_TORCH_THREADS_H_
#define LATHE_AGENT_TORCH_THREADS_H_

#include <ATen/Parallel.h>

#include "base/blas_threads.h"

namespace lathe {

// The thread count of OpenMP belongs to the calling thread, so this is called
// at every entry: results must not depend on it, and small products only lose
// by threads.
inline void UseOneThread() {
  at::set_num_threads(1);
  UseOneBlasThread();
}

}  // namespace lathe

#endif  // LATHE_AGENT_TORCH_THREADS_H_

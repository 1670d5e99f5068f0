// libtorch on the caller's thread alone.
#ifndef LATHE_AGENT_TORCH_THREADS_H_
#define LATHE_AGENT_TORCH_THREADS_H_

#include <ATen/Parallel.h>

// OpenBLAS, where libtorch's BLAS is that, has threads of its own.
extern "C" void openblas_set_num_threads(int threads) __attribute__((weak));

namespace lathe {

// The thread count of OpenMP belongs to the calling thread, so this is called
// at every entry: results must not depend on it, and small products only lose
// by threads.
inline void UseOneThread() {
  at::set_num_threads(1);
  if (openblas_set_num_threads != nullptr) openblas_set_num_threads(1);
}

}  // namespace lathe

#endif  // LATHE_AGENT_TORCH_THREADS_H_

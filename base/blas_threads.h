// OpenBLAS, under Eigen and libtorch, without threads of its own.
#ifndef LATHE_BASE_BLAS_THREADS_H_
#define LATHE_BASE_BLAS_THREADS_H_

extern "C" void openblas_set_num_threads(int threads);

namespace lathe {

// For the whole process. To be called before the first product of a part of the
// program: results must not depend on the number of threads, and the cores
// belong to measurements and to other workers.
inline void UseOneBlasThread() { openblas_set_num_threads(1); }

}  // namespace lathe

#endif  // LATHE_BASE_BLAS_THREADS_H_

// How many threads oneDNN uses, for a while and for one caller only.
#ifndef LATHE_EVALUATOR_THREAD_SCOPE_H_
#define LATHE_EVALUATOR_THREAD_SCOPE_H_

namespace lathe {

// While one lives, what this thread compiles is compiled for `threads`
// threads, and what it runs runs on so many, its own included. The further
// ones are OpenMP's, belong to this thread, and take denormal numbers for zero
// for good (see denormals.h).
class ThreadScope {
 public:
  // REQUIRES: threads > 0.
  explicit ThreadScope(int threads);
  ~ThreadScope();
  ThreadScope(const ThreadScope&) = delete;
  ThreadScope& operator=(const ThreadScope&) = delete;

 private:
  const int before_;
};

}  // namespace lathe

#endif  // LATHE_EVALUATOR_THREAD_SCOPE_H_

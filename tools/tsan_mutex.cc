// Tells ThreadSanitizer of Abseil's mutexes, whose library Debian builds
// without it. Linked into every test of `tools/check-all thread`: a program's
// own definitions come before those of a library, for the program, for gRPC
// and for Abseil itself.
#include <dlfcn.h>
#include <sanitizer/tsan_interface.h>

#include <cstdlib>
#include <string>

#include "absl/synchronization/blocking_counter.h"
#include "absl/synchronization/mutex.h"
#include "absl/synchronization/notification.h"
#include "absl/time/time.h"

extern "C" {
void AnnotateIgnoreReadsBegin(const char* file, int line);
void AnnotateIgnoreReadsEnd(const char* file, int line);
}

namespace {

#define LATHE_STRING_OF(name) #name
#define LATHE_STRING(name) LATHE_STRING_OF(name)

// The library's definition of a member, `mangled` from the class on.
template <typename Function>
Function InLibrary(const char* mangled, bool is_const = false) {
  const std::string name_space =
      LATHE_STRING(ABSL_OPTION_INLINE_NAMESPACE_NAME);
  const std::string symbol = std::string(is_const ? "_ZNK" : "_ZN") + "4absl" +
                             std::to_string(name_space.size()) + name_space +
                             mangled;
  void* found = dlsym(RTLD_NEXT, symbol.c_str());
  if (found == nullptr) std::abort();
  return reinterpret_cast<Function>(found);
}

// Who unlocks or waits evaluates the conditions of other threads, still under
// the lock.
class IgnoredReads {
 public:
  IgnoredReads() { AnnotateIgnoreReadsBegin(__FILE__, __LINE__); }
  ~IgnoredReads() { AnnotateIgnoreReadsEnd(__FILE__, __LINE__); }
};

// Gives the lock `mutex` away for the length of `call`.
template <typename Call>
auto Waiting(void* mutex, Call call) {
  struct Reacquire {
    void* mutex;
    ~Reacquire() { __tsan_acquire(mutex); }
  };
  __tsan_release(mutex);
  const Reacquire reacquire{mutex};
  const IgnoredReads ignored;
  return call();
}

}  // namespace

namespace absl {
ABSL_NAMESPACE_BEGIN

#define LATHE_MUTEX_LOCK(name, mangled)                            \
  void Mutex::name() {                                             \
    static const auto next = InLibrary<void (*)(Mutex*)>(mangled); \
    next(this);                                                    \
    __tsan_acquire(this);                                          \
  }
LATHE_MUTEX_LOCK(Lock, "5Mutex4LockEv")
LATHE_MUTEX_LOCK(ReaderLock, "5Mutex10ReaderLockEv")

#define LATHE_MUTEX_TRY(name, mangled)                             \
  bool Mutex::name() {                                             \
    static const auto next = InLibrary<bool (*)(Mutex*)>(mangled); \
    const bool is_locked = next(this);                             \
    if (is_locked) __tsan_acquire(this);                           \
    return is_locked;                                              \
  }
LATHE_MUTEX_TRY(TryLock, "5Mutex7TryLockEv")
LATHE_MUTEX_TRY(ReaderTryLock, "5Mutex13ReaderTryLockEv")

#define LATHE_MUTEX_UNLOCK(name, mangled)                          \
  void Mutex::name() {                                             \
    static const auto next = InLibrary<void (*)(Mutex*)>(mangled); \
    __tsan_release(this);                                          \
    const IgnoredReads ignored;                                    \
    next(this);                                                    \
  }
LATHE_MUTEX_UNLOCK(Unlock, "5Mutex6UnlockEv")
LATHE_MUTEX_UNLOCK(ReaderUnlock, "5Mutex12ReaderUnlockEv")

void Mutex::Await(const Condition& condition) {
  static const auto next = InLibrary<void (*)(Mutex*, const Condition&)>(
      "5Mutex5AwaitERKNS0_9ConditionE");
  Waiting(this, [&] { next(this, condition); });
}

bool Mutex::AwaitWithTimeout(const Condition& condition, Duration timeout) {
  static const auto next =
      InLibrary<bool (*)(Mutex*, const Condition&, Duration)>(
          "5Mutex16AwaitWithTimeoutERKNS0_9ConditionENS0_8DurationE");
  return Waiting(this, [&] { return next(this, condition, timeout); });
}

bool Mutex::AwaitWithDeadline(const Condition& condition, Time deadline) {
  static const auto next = InLibrary<bool (*)(Mutex*, const Condition&, Time)>(
      "5Mutex17AwaitWithDeadlineERKNS0_9ConditionENS0_4TimeE");
  return Waiting(this, [&] { return next(this, condition, deadline); });
}

void Mutex::LockWhen(const Condition& condition) {
  static const auto next = InLibrary<void (*)(Mutex*, const Condition&)>(
      "5Mutex8LockWhenERKNS0_9ConditionE");
  {
    const IgnoredReads ignored;
    next(this, condition);
  }
  __tsan_acquire(this);
}

void CondVar::Wait(Mutex* mutex) {
  static const auto next =
      InLibrary<void (*)(CondVar*, Mutex*)>("7CondVar4WaitEPNS0_5MutexE");
  Waiting(mutex, [&] { next(this, mutex); });
}

bool CondVar::WaitWithTimeout(Mutex* mutex, Duration timeout) {
  static const auto next = InLibrary<bool (*)(CondVar*, Mutex*, Duration)>(
      "7CondVar15WaitWithTimeoutEPNS0_5MutexENS0_8DurationE");
  return Waiting(mutex, [&] { return next(this, mutex, timeout); });
}

bool CondVar::WaitWithDeadline(Mutex* mutex, Time deadline) {
  static const auto next = InLibrary<bool (*)(CondVar*, Mutex*, Time)>(
      "7CondVar16WaitWithDeadlineEPNS0_5MutexENS0_4TimeE");
  return Waiting(mutex, [&] { return next(this, mutex, deadline); });
}

void Notification::Notify() {
  static const auto next =
      InLibrary<void (*)(Notification*)>("12Notification6NotifyEv");
  __tsan_release(this);
  next(this);
}

void Notification::WaitForNotification() const {
  static const auto next = InLibrary<void (*)(const Notification*)>(
      "12Notification19WaitForNotificationEv", /*is_const=*/true);
  next(this);
  __tsan_acquire(const_cast<Notification*>(this));
}

bool BlockingCounter::DecrementCount() {
  static const auto next = InLibrary<bool (*)(BlockingCounter*)>(
      "15BlockingCounter14DecrementCountEv");
  __tsan_release(this);
  return next(this);
}

void BlockingCounter::Wait() {
  static const auto next =
      InLibrary<void (*)(BlockingCounter*)>("15BlockingCounter4WaitEv");
  next(this);
  __tsan_acquire(this);
}

ABSL_NAMESPACE_END
}  // namespace absl

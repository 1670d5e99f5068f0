// A bounded queue between threads that can be closed.
#ifndef LATHE_BASE_QUEUE_H_
#define LATHE_BASE_QUEUE_H_

#include <cstddef>
#include <deque>
#include <optional>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"

namespace lathe {

// Thread-safe. First in, first out.
template <typename T>
class BlockingQueue {
 public:
  explicit BlockingQueue(size_t capacity) : capacity_(capacity) {}

  // Waits for room. False, and `value` is dropped, when the queue is closed.
  bool Push(T value) ABSL_LOCKS_EXCLUDED(mu_) {
    absl::MutexLock lock(&mu_);
    mu_.Await(absl::Condition(this, &BlockingQueue::HasRoomOrIsClosed));
    if (is_closed_) return false;
    values_.push_back(std::move(value));
    return true;
  }

  // Waits for a value. Nothing when the queue is closed and empty.
  std::optional<T> Pop() ABSL_LOCKS_EXCLUDED(mu_) {
    absl::MutexLock lock(&mu_);
    mu_.Await(absl::Condition(this, &BlockingQueue::HasValueOrIsClosed));
    if (values_.empty()) return std::nullopt;
    T value = std::move(values_.front());
    values_.pop_front();
    return value;
  }

  // Waits for a value and takes all that are there, in order. Empty when the
  // queue is closed and empty.
  std::vector<T> PopAll() ABSL_LOCKS_EXCLUDED(mu_) {
    absl::MutexLock lock(&mu_);
    mu_.Await(absl::Condition(this, &BlockingQueue::HasValueOrIsClosed));
    std::vector<T> all(std::make_move_iterator(values_.begin()),
                       std::make_move_iterator(values_.end()));
    values_.clear();
    return all;
  }

  // No further Push succeeds; what is queued can still be popped.
  void Close() ABSL_LOCKS_EXCLUDED(mu_) {
    absl::MutexLock lock(&mu_);
    is_closed_ = true;
  }

 private:
  bool HasRoomOrIsClosed() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    return is_closed_ || values_.size() < capacity_;
  }
  bool HasValueOrIsClosed() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    return is_closed_ || !values_.empty();
  }

  const size_t capacity_;
  absl::Mutex mu_;
  std::deque<T> values_ ABSL_GUARDED_BY(mu_);
  bool is_closed_ ABSL_GUARDED_BY(mu_) = false;
};

}  // namespace lathe

#endif  // LATHE_BASE_QUEUE_H_

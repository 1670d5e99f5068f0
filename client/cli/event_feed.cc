#include "client/cli/event_feed.h"

#include <utility>

namespace lathe {

EventFeed::EventFeed(const std::shared_ptr<grpc::Channel>& channel,
                     const std::string& job_name)
    : watcher_(channel, job_name, /*after_sequence=*/0),
      thread_([this] { Run(); }) {}

EventFeed::~EventFeed() {
  watcher_.Cancel();
  thread_.join();
}

void EventFeed::Run() {
  while (true) {
    absl::StatusOr<v1::Event> event = watcher_.Next();
    absl::MutexLock lock(&mu_);
    if (!event.ok()) {
      end_ = event.status();
      return;
    }
    events_.push_back(*std::move(event));
  }
}

std::vector<v1::Event> EventFeed::Take(absl::Duration patience) {
  absl::MutexLock lock(&mu_);
  mu_.AwaitWithTimeout(absl::Condition(this, &EventFeed::HasNews), patience);
  return std::exchange(events_, {});
}

bool EventFeed::is_done() {
  absl::MutexLock lock(&mu_);
  return events_.empty() && !end_.ok();
}

absl::Status EventFeed::end() {
  absl::MutexLock lock(&mu_);
  return end_;
}

}  // namespace lathe

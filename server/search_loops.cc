#include "server/search_loops.h"

#include <algorithm>
#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/log.h"
#include "base/status.h"

namespace lathe {

absl::Status SearchLoops::StartAll() {
  LATHE_ASSIGN_OR_RETURN(const std::vector<std::string> jobs,
                         parts_.store->ActiveJobs());
  for (const std::string& job : jobs) Start(job);
  return absl::OkStatus();
}

std::vector<std::unique_ptr<SearchLoop>> SearchLoops::TakeEnded() {
  std::vector<std::unique_ptr<SearchLoop>> ended;
  for (auto it = loops_.begin(); it != loops_.end();) {
    if (!it->second->has_ended()) {
      ++it;
      continue;
    }
    ended.push_back(std::move(it->second));
    it = loops_.erase(it);
  }
  return ended;
}

void SearchLoops::Start(const std::string& job) {
  std::vector<std::unique_ptr<SearchLoop>> ended;
  absl::MutexLock lock(&mu_);
  ended = TakeEnded();
  if (is_stopped_ || loops_.count(job) > 0 || Waits(job)) return;
  waiting_.push_back(job);
  StartFirst();
}

void SearchLoops::StartWaiting() {
  std::vector<std::unique_ptr<SearchLoop>> ended;
  absl::MutexLock lock(&mu_);
  if (waiting_.empty()) return;
  ended = TakeEnded();
  StartFirst();
}

void SearchLoops::StartFirst() {
  while (!waiting_.empty()) {
    absl::Status started = StartLoop(waiting_.front());
    if (!started.ok()) {
      if (started != why_waiting_) {
        LATHE_LOG(kWarning) << waiting_.front() << " waits: " << started;
      }
      why_waiting_ = std::move(started);
      return;
    }
    waiting_.pop_front();
  }
  why_waiting_ = absl::OkStatus();
}

absl::Status SearchLoops::StartLoop(const std::string& job) {
  if (loops_.size() >= most_loops_) {
    return absl::ResourceExhaustedError(absl::StrCat(
        "the server searches ", most_loops_,
        " jobs at once, and paused ones "
        "count; this one begins when another has ended (`lathe list`)"));
  }
  try {
    auto loop = std::make_unique<SearchLoop>(job, parts_);
    loops_[job] = std::move(loop);
  } catch (const std::system_error& error) {
    return absl::ResourceExhaustedError(absl::StrCat(
        "the system gives the server no thread for this job's search: ",
        error.what(),
        "; raise the server's limit of tasks, or end other jobs"));
  }
  return absl::OkStatus();
}

bool SearchLoops::Waits(const std::string& job) const {
  return std::find(waiting_.begin(), waiting_.end(), job) != waiting_.end();
}

void SearchLoops::Wake(const std::string& job) {
  absl::MutexLock lock(&mu_);
  const auto it = loops_.find(job);
  if (it != loops_.end()) it->second->Wake();
}

SearchLoopStatus SearchLoops::StatusOf(const std::string& job) {
  absl::MutexLock lock(&mu_);
  const auto it = loops_.find(job);
  if (it != loops_.end()) return it->second->status();
  SearchLoopStatus status;
  if (Waits(job)) status.error = why_waiting_.ToString();
  return status;
}

void SearchLoops::WakeAll() {
  absl::MutexLock lock(&mu_);
  for (auto& [job, loop] : loops_) loop->Wake();
}

void SearchLoops::Stop() {
  Loops loops;
  {
    absl::MutexLock lock(&mu_);
    is_stopped_ = true;
    waiting_.clear();
    loops.swap(loops_);
  }
  for (auto& [job, loop] : loops) loop->RequestStop();
}

}  // namespace lathe

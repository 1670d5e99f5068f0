#include "server/search_loops.h"

#include <utility>

#include "base/status.h"
#include "proto/names.h"

namespace lathe {

absl::Status SearchLoops::StartAll() {
  std::string page_token;
  do {
    LATHE_ASSIGN_OR_RETURN(
        const Page<v1::Job> page,
        parts_.store->ListJobs(/*page_size=*/1000, page_token));
    for (const v1::Job& job : page.rows) {
      if (!IsFinal(job.state())) Start(job.name());
    }
    page_token = page.next_page_token;
  } while (!page_token.empty());
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
  if (is_stopped_ || loops_.count(job) > 0) return;
  loops_[job] = std::make_unique<SearchLoop>(job, parts_);
}

void SearchLoops::Wake(const std::string& job) {
  absl::MutexLock lock(&mu_);
  const auto it = loops_.find(job);
  if (it != loops_.end()) it->second->Wake();
}

SearchLoopStatus SearchLoops::StatusOf(const std::string& job) {
  absl::MutexLock lock(&mu_);
  const auto it = loops_.find(job);
  return it == loops_.end() ? SearchLoopStatus() : it->second->status();
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
    loops.swap(loops_);
  }
  for (auto& [job, loop] : loops) loop->RequestStop();
}

}  // namespace lathe

#include "server/watch_reactor.h"

#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "proto/names.h"
#include "server/errors.h"

namespace lathe {
namespace {

// Events held in memory per watcher.
constexpr int kEventsPerPage = 64;

template <typename T>
absl::StatusOr<T> JobFound(absl::StatusOr<T> read) {
  if (read.ok()) return read;
  return WithReasons(read.status(),
                     {{absl::StatusCode::kNotFound, "JOB_NOT_FOUND"}});
}

}  // namespace

WatchReactor::WatchReactor(const grpc::CallbackServerContext* context,
                           const v1::WatchJobRequest& request,
                           const Parts& parts)
    : context_(context),
      parts_(parts),
      open_call_(&parts.gate->pool().open_calls()),
      place_(parts.gate),
      job_(request.name()),
      is_busy_(true),
      sequence_(request.resume_sequence()) {
  parts_.hub->Add(this, job_, [this] { Wake(); });
  parts_.gate->pool().Run([this] { Begin(); });
}

void WatchReactor::Begin() {
  const absl::StatusOr<Caller> caller =
      parts_.gate->Admit(*context_, "Search.WatchJob");
  absl::Status status = caller.ok() ? place_.status() : caller.status();
  if (status.ok()) status = CheckResume();
  if (status.ok()) {
    Pump();
  } else {
    Finish(ToGrpc(status));
  }
}

absl::Status WatchReactor::CheckResume() {
  bool is_known = sequence_ == 0;
  if (sequence_ > 0) {
    LATHE_ASSIGN_OR_RETURN(
        const std::vector<v1::Event> events,
        JobFound(parts_.store->EventsAfter(job_, sequence_ - 1, /*limit=*/1)));
    is_known = !events.empty();
  }
  FieldChecks checks;
  checks.Require(is_known, "resume_sequence",
                 absl::StrCat(sequence_, ", which is no event of ", job_,
                              "; watch from 0"));
  return checks.ToStatus();
}

void WatchReactor::Wake() {
  {
    absl::MutexLock lock(&mu_);
    has_news_ = true;
    if (is_busy_) return;
    is_busy_ = true;
  }
  parts_.gate->pool().Run([this] { Pump(); });
}

void WatchReactor::Pump() {
  while (true) {
    {
      absl::MutexLock lock(&mu_);
      has_news_ = false;
    }
    const Look look = LookForEvents();
    if (look == Look::kFinished) return;
    if (look == Look::kEvents) {
      StartWrite(&page_[next_]);
      return;
    }
    absl::MutexLock lock(&mu_);
    if (has_news_) continue;
    is_busy_ = false;
    return;
  }
}

WatchReactor::Look WatchReactor::End(const absl::Status& status) {
  Finish(ToGrpc(status));
  return Look::kFinished;
}

WatchReactor::Look WatchReactor::LookForEvents() {
  {
    absl::MutexLock lock(&mu_);
    if (is_cancelled_) return End(absl::CancelledError("the caller left"));
  }
  if (next_ < page_.size()) return Look::kEvents;
  // A token may have expired, or been taken away, since the last page.
  const absl::StatusOr<Caller> caller =
      parts_.gate->Admit(*context_, "Search.WatchJob");
  if (!caller.ok()) return End(caller.status());
  // The state first: of a job that has ended then, all events are there.
  const absl::StatusOr<v1::JobState> state =
      JobFound(parts_.store->GetJobState(job_));
  if (!state.ok()) return End(state.status());
  absl::StatusOr<std::vector<v1::Event>> events =
      parts_.store->EventsAfter(job_, sequence_, kEventsPerPage);
  if (!events.ok()) return End(events.status());
  page_ = *std::move(events);
  next_ = 0;
  if (!page_.empty()) return Look::kEvents;
  if (IsFinal(*state)) return End(absl::OkStatus());
  if (parts_.hub->is_closed()) {
    return End(MakeError(absl::StatusCode::kUnavailable, "SHUTTING_DOWN",
                         "the server is shutting down; resume with the last "
                         "sequence seen"));
  }
  return Look::kNothing;
}

void WatchReactor::OnWriteDone(bool is_ok) {
  if (!is_ok) {
    absl::MutexLock lock(&mu_);
    is_cancelled_ = true;
  } else {
    sequence_ = page_[next_++].sequence();
  }
  parts_.gate->pool().Run([this] { Pump(); });
}

void WatchReactor::OnCancel() {
  {
    absl::MutexLock lock(&mu_);
    is_cancelled_ = true;
  }
  Wake();
}

void WatchReactor::OnDone() {
  parts_.hub->Remove(this);
  delete this;
}

}  // namespace lathe

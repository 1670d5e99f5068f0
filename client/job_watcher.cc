#include "client/job_watcher.h"

#include "base/status.h"
#include "client/status.h"

namespace lathe {
namespace {

// Long enough that reopening costs nothing, short enough that a stream which
// hangs is noticed.
constexpr absl::Duration kStreamTimeout = absl::Minutes(5);

}  // namespace

JobWatcher::JobWatcher(const std::shared_ptr<grpc::Channel>& channel,
                       absl::string_view job, int64_t after_sequence,
                       const RetryOptions& options)
    : job_(job),
      options_(options),
      stub_(v1::Search::NewStub(channel)),
      sequence_(after_sequence) {}

JobWatcher::~JobWatcher() {
  Cancel();
  if (reader_ != nullptr) (void)Close();
}

absl::Status JobWatcher::Open() {
  v1::WatchJobRequest request;
  request.set_name(job_);
  request.set_resume_sequence(sequence_);
  grpc::ClientContext* context = nullptr;
  {
    absl::MutexLock lock(&mu_);
    if (cancelled_.is_set()) {
      return absl::CancelledError("watching was cancelled");
    }
    context_ = std::make_unique<grpc::ClientContext>();
    context = context_.get();
  }
  SetTimeout(*context, kStreamTimeout);
  // Outside the lock: it waits for the connection. Only this thread replaces
  // the context.
  reader_ = stub_->WatchJob(context, request);
  return absl::OkStatus();
}

absl::Status JobWatcher::Close() {
  absl::Status status = FromGrpc(reader_->Finish());
  reader_.reset();
  absl::MutexLock lock(&mu_);
  context_.reset();
  if (cancelled_.is_set()) {
    return absl::CancelledError("watching was cancelled");
  }
  return status;
}

absl::StatusOr<v1::Event> JobWatcher::Next() {
  Patience patience(options_.give_up_after);
  Backoff backoff(options_);
  while (true) {
    if (reader_ == nullptr) LATHE_RETURN_IF_ERROR(Open());
    v1::Event event;
    if (reader_->Read(&event)) {
      if (event.sequence() <= sequence_) continue;
      sequence_ = event.sequence();
      return event;
    }
    const absl::Status status = Close();
    if (status.ok()) return absl::OutOfRangeError("the job has ended");
    if (absl::IsDeadlineExceeded(status)) {
      // A quiet stream that reached its deadline was connected until now.
      patience = Patience(options_.give_up_after);
      backoff.Reset();
      continue;
    }
    const absl::Duration wait = backoff.Next();
    if (!absl::IsUnavailable(status) || patience.IsOver(wait)) return status;
    if (cancelled_.WaitFor(wait)) {
      return absl::CancelledError("watching was cancelled");
    }
  }
}

void JobWatcher::Cancel() {
  cancelled_.Set();
  absl::MutexLock lock(&mu_);
  if (context_ != nullptr) context_->TryCancel();
}

}  // namespace lathe

// The server's side of one WatchJob call.
#ifndef LATHE_SERVER_WATCH_REACTOR_H_
#define LATHE_SERVER_WATCH_REACTOR_H_

#include <grpcpp/support/server_callback.h>

#include <cstdint>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "proto/search.pb.h"
#include "server/call_gate.h"
#include "server/watch_hub.h"
#include "server/work_pool.h"
#include "storage/store.h"

namespace lathe {

// Sends a job's events after a sequence number, one page read from the store
// at a time, waits for news, and ends with the job. Deletes itself when the
// call is over.
class WatchReactor : public grpc::ServerWriteReactor<v1::Event> {
 public:
  // All must outlive the call.
  struct Parts {
    Store* store = nullptr;
    WatchHub* hub = nullptr;
    CallGate* gate = nullptr;
  };

  // `context` lives as long as the call.
  WatchReactor(const grpc::CallbackServerContext* context,
               const v1::WatchJobRequest& request, const Parts& parts);

  void OnWriteDone(bool is_ok) override;
  void OnCancel() override;
  void OnDone() override;

 private:
  // Starts Pump unless it is under way; then it will look once more.
  void Wake() ABSL_LOCKS_EXCLUDED(mu_);
  // Writes, waits, or finishes. Exactly one Pump or write is under way while
  // `is_busy_`, and after Finish it stays so: nothing else is ever started.
  void Pump() ABSL_LOCKS_EXCLUDED(mu_);
  // True when there is an event to write. Finishes the call when it is over.
  enum class Look { kEvents, kNothing, kFinished };
  Look LookForEvents();
  Look End(const absl::Status& status);

  // Ends the call unless its caller may watch.
  void Begin();
  // InvalidArgument (FIELD_INVALID): there is no event to resume after.
  absl::Status CheckResume();

  const grpc::CallbackServerContext* const context_;
  const Parts parts_;
  const OpenCall open_call_;
  const StreamPlace place_;
  const std::string job_;

  absl::Mutex mu_;
  bool is_busy_ ABSL_GUARDED_BY(mu_) = false;
  bool has_news_ ABSL_GUARDED_BY(mu_) = false;
  bool is_cancelled_ ABSL_GUARDED_BY(mu_) = false;

  // Used by whoever is busy.
  int64_t sequence_;
  std::vector<v1::Event> page_;
  size_t next_ = 0;
};

}  // namespace lathe

#endif  // LATHE_SERVER_WATCH_REACTOR_H_

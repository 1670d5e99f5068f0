// Renews the lease in hand while its trial is evaluated.
#ifndef LATHE_CLIENT_WORKER_LEASE_KEEPER_H_
#define LATHE_CLIENT_WORKER_LEASE_KEEPER_H_

#include <chrono>
#include <thread>

#include "absl/status/statusor.h"
#include "base/steady_flag.h"
#include "client/worker/server_link.h"
#include "client/worker/stop_signal.h"
#include "client/worker/worker_control.h"

namespace lathe {

// From construction to destruction a thread of its own renews, each time after
// three to five quarters of the server's interval. It stops `work` when the
// server says so, or when no renewal got through for the server's give-up
// time, and registers anew when the server does not know the session.
class LeaseKeeper {
 public:
  // The arguments must outlive it.
  LeaseKeeper(ServerLink* link, WorkerControl* control, StopSignal* work);
  ~LeaseKeeper();
  LeaseKeeper(const LeaseKeeper&) = delete;
  LeaseKeeper& operator=(const LeaseKeeper&) = delete;

 private:
  void Loop();
  void RenewOnce();
  void Obey(const v1::RenewLeasesResponse& response);

  ServerLink* const link_;
  WorkerControl* const control_;
  StopSignal* const work_;
  // Of the thread alone. Unlike the wall clock it never jumps.
  std::chrono::steady_clock::time_point last_renewal_;
  SteadyFlag ending_;
  std::thread thread_;
};

}  // namespace lathe

#endif  // LATHE_CLIENT_WORKER_LEASE_KEEPER_H_

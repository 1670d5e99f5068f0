// What happened in this server, as Prometheus counts it.
#ifndef LATHE_SERVER_METRICS_H_
#define LATHE_SERVER_METRICS_H_

#include <prometheus/counter.h>
#include <prometheus/family.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>

#include <map>
#include <memory>
#include <string>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "proto/types.pb.h"

namespace lathe {

// Counters and histograms since the start; docs/metrics.md lists them. What is
// at the moment (queues, workers) is told by StateMetrics. Counting costs well
// under a microsecond. Thread-safe.
class Metrics {
 public:
  Metrics();
  Metrics(const Metrics&) = delete;
  Metrics& operator=(const Metrics&) = delete;

  void CountLeases(int granted);
  // A lease that ended without a result: "expired", "released: preempted", ...
  void CountEndedLeases(absl::string_view why, int leases);
  void CountOutcome(const v1::Outcome& outcome);
  void CountCordonedWorker() { cordoned_workers_.Increment(); }
  void CountSearchError() { search_errors_.Increment(); }
  // `thought`: "replay", "learn" or "propose".
  void ObserveThought(absl::string_view thought, absl::Duration duration);
  // A group commit.
  void ObserveCommit(int writes, absl::Duration duration);
  // A finished call; `method` without its package, "Workers/LeaseTrials".
  void ObserveCall(absl::string_view method, int code, absl::Duration duration);

  std::shared_ptr<prometheus::Registry> registry() const { return registry_; }

 private:
  const std::shared_ptr<prometheus::Registry> registry_;
  prometheus::Counter& granted_leases_;
  prometheus::Family<prometheus::Counter>& ended_leases_;
  prometheus::Family<prometheus::Counter>& outcomes_;
  prometheus::Histogram& evaluation_seconds_;
  prometheus::Counter& cordoned_workers_;
  prometheus::Counter& search_errors_;
  prometheus::Family<prometheus::Histogram>& thought_seconds_;
  prometheus::Histogram& commit_seconds_;
  prometheus::Histogram& commit_writes_;
  prometheus::Family<prometheus::Histogram>& call_seconds_;
  prometheus::Family<prometheus::Counter>& failed_calls_;
};

}  // namespace lathe

#endif  // LATHE_SERVER_METRICS_H_

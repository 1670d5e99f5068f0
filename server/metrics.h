// What happened in this server, as Prometheus counts it.
#ifndef LATHE_SERVER_METRICS_H_
#define LATHE_SERVER_METRICS_H_

#include <prometheus/counter.h>
#include <prometheus/family.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>

#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "proto/types.pb.h"

namespace lathe {

// The series of a family by the value of its one label, found without the
// family's own search, which is by all labels. Thread-safe.
template <typename T>
class SeriesByLabel {
 public:
  // Makes the series of a label's value.
  using Make = std::function<T&(const std::string& value)>;
  explicit SeriesByLabel(Make make) : make_(std::move(make)) {}

  T& Of(absl::string_view value) ABSL_LOCKS_EXCLUDED(mu_) {
    absl::MutexLock lock(&mu_);
    T*& series = series_[value];
    if (series == nullptr) series = &make_(std::string(value));
    return *series;
  }

 private:
  const Make make_;
  absl::Mutex mu_;
  absl::flat_hash_map<std::string, T*> series_ ABSL_GUARDED_BY(mu_);
};

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
  SeriesByLabel<prometheus::Counter> outcomes_;
  prometheus::Histogram& evaluation_seconds_;
  prometheus::Counter& cordoned_workers_;
  prometheus::Counter& search_errors_;
  SeriesByLabel<prometheus::Histogram> thought_seconds_;
  prometheus::Histogram& commit_seconds_;
  prometheus::Histogram& commit_writes_;
  SeriesByLabel<prometheus::Histogram> call_seconds_;
  prometheus::Family<prometheus::Counter>& failed_calls_;
};

}  // namespace lathe

#endif  // LATHE_SERVER_METRICS_H_

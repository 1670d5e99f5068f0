// What the server is at, read when Prometheus asks.
#ifndef LATHE_SERVER_STATE_METRICS_H_
#define LATHE_SERVER_STATE_METRICS_H_

#include <prometheus/collectable.h>

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "server/lease_table.h"
#include "server/quotas.h"
#include "server/search_loops.h"
#include "server/worker_registry.h"
#include "storage/store.h"

namespace lathe {

// All must outlive it.
struct StateMetricsParts {
  Store* store = nullptr;
  LeaseTable* leases = nullptr;
  WorkerRegistry* workers = nullptr;
  SearchLoops* loops = nullptr;
  // Of the database and the blobs.
  std::string state_folder;
  Quotas quotas;
};

// Jobs and trials by state, leases, workers by state, agents at work, what
// callers use of their quotas, bytes of the database and on the disk.
// Thread-safe.
class StateMetrics : public prometheus::Collectable {
 public:
  explicit StateMetrics(StateMetricsParts parts) : parts_(std::move(parts)) {}

  std::vector<prometheus::MetricFamily> Collect() const override;

 private:
  // Of what the store counts.
  absl::Status AddJobs(std::vector<prometheus::MetricFamily>& families) const;

  const StateMetricsParts parts_;
};

}  // namespace lathe

#endif  // LATHE_SERVER_STATE_METRICS_H_

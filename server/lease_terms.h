// What all leases of a job say of it.
#ifndef LATHE_SERVER_LEASE_TERMS_H_
#define LATHE_SERVER_LEASE_TERMS_H_

#include <map>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "proto/types.pb.h"
#include "storage/store.h"

namespace lathe {

struct JobTerms {
  v1::JobSpec spec;
  // Empty before trial 0 is measured.
  std::string activation_stats_digest;
};

// Reads a job's terms, which stand once its baseline does, from the store once.
// Thread-safe.
class LeaseTerms {
 public:
  // `store` must outlive this.
  explicit LeaseTerms(Store* store) : store_(*store) {}

  // Errors: NotFound.
  absl::StatusOr<JobTerms> Of(const std::string& job) ABSL_LOCKS_EXCLUDED(mu_);

 private:
  Store& store_;
  absl::Mutex mu_;
  std::map<std::string, JobTerms> terms_ ABSL_GUARDED_BY(mu_);  // By job.
};

}  // namespace lathe

#endif  // LATHE_SERVER_LEASE_TERMS_H_

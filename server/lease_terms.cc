#include "server/lease_terms.h"

#include <utility>

#include "base/status.h"

namespace lathe {
namespace {

// Jobs of which leases are granted now are few; a kilobyte each.
constexpr size_t kMostKnownJobs = 1000;

}  // namespace

absl::StatusOr<JobTerms> LeaseTerms::Of(const std::string& job) {
  {
    absl::MutexLock lock(&mu_);
    const auto known = terms_.find(job);
    if (known != terms_.end()) return known->second;
  }
  LATHE_ASSIGN_OR_RETURN(v1::Job read, store_.GetJob(job));
  JobTerms terms;
  terms.spec = std::move(*read.mutable_spec());
  terms.activation_stats_digest = read.baseline().activation_stats_digest();
  if (!read.has_baseline()) return terms;
  absl::MutexLock lock(&mu_);
  if (terms_.size() >= kMostKnownJobs) terms_.clear();
  terms_[job] = terms;
  return terms;
}

}  // namespace lathe

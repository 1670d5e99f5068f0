#include "server/housekeeper.h"

#include <cstdint>
#include <string>
#include <vector>

#include "base/log.h"
#include "base/status.h"

namespace lathe {

absl::Status Housekeeper::Tidy(absl::Time now, absl::Time steady_now) {
  LATHE_RETURN_IF_ERROR(DeleteOldJobs(now));
  frontiers_.ForgetUnused(steady_now - rules_.unused_frontiers);
  LATHE_ASSIGN_OR_RETURN(
      const int64_t gone,
      store_.ForgetWorkers(now - rules_.gone_workers, workers_.Sessions()));
  if (gone > 0) {
    LATHE_LOG(kInfo) << gone << " workers that are gone: forgotten";
  }
  return CollectGarbage(now, /*is_dry_run=*/false).status();
}

absl::Status Housekeeper::DeleteOldJobs(absl::Time now) {
  if (!rules_.ended_jobs.has_value()) return absl::OkStatus();
  LATHE_ASSIGN_OR_RETURN(const std::vector<std::string> old,
                         store_.JobsEndedBefore(now - *rules_.ended_jobs));
  for (const std::string& job : old) {
    LATHE_LOG(kInfo) << job << " is deleted: it ended more than "
                     << *rules_.ended_jobs << " ago";
    LATHE_RETURN_IF_ERROR(store_.DeleteJob(job));
    frontiers_.Forget(job);
  }
  return absl::OkStatus();
}

absl::StatusOr<RemovedBlobs> Housekeeper::CollectGarbage(absl::Time now,
                                                         bool is_dry_run) {
  LATHE_ASSIGN_OR_RETURN(const std::vector<std::string> referenced,
                         store_.ReferencedBlobs());
  GarbageRules rules;
  rules.referenced = {referenced.begin(), referenced.end()};
  rules.unused_since = now - rules_.unused_blobs;
  rules.is_dry_run = is_dry_run;
  RemovedBlobs removed = blobs_.CollectGarbage(rules);
  if (removed.blobs > 0 && !is_dry_run) {
    LATHE_RETURN_IF_ERROR(store_.ForgetUploads(removed.digests));
    LATHE_LOG(kInfo) << "garbage: " << removed.blobs << " blobs, "
                     << removed.bytes << " bytes";
  }
  return removed;
}

}  // namespace lathe

// What one caller's blobs may take.
#ifndef LATHE_SERVER_UPLOAD_QUOTA_H_
#define LATHE_SERVER_UPLOAD_QUOTA_H_

#include <cstdint>
#include <map>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "storage/store.h"

namespace lathe {

// Counts what was stored, and what streams are just bringing. Thread-safe.
class UploadQuota {
 public:
  // `store` must outlive this. No limit: 0.
  UploadQuota(Store* store, int64_t most_bytes)
      : store_(*store), most_bytes_(most_bytes) {}

  // Errors: ResourceExhausted (QUOTA_BLOBS) - nothing is taken; the store's.
  absl::Status Take(const std::string& creator, int64_t bytes)
      ABSL_LOCKS_EXCLUDED(mu_);
  // A stream has ended that took `bytes`.
  void GiveBack(const std::string& creator, int64_t bytes)
      ABSL_LOCKS_EXCLUDED(mu_);

 private:
  Store& store_;
  const int64_t most_bytes_;
  absl::Mutex mu_;
  // Of streams that have not ended, by creator.
  std::map<std::string, int64_t> arriving_ ABSL_GUARDED_BY(mu_);
};

}  // namespace lathe

#endif  // LATHE_SERVER_UPLOAD_QUOTA_H_

#include "server/upload_quota.h"

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "server/errors.h"

namespace lathe {

absl::Status UploadQuota::Take(const std::string& creator, int64_t bytes) {
  if (most_bytes_ == 0) return absl::OkStatus();
  LATHE_ASSIGN_OR_RETURN(const int64_t stored, store_.UploadedBytes(creator));
  absl::MutexLock lock(&mu_);
  int64_t& arriving = arriving_[creator];
  if (stored + arriving + bytes <= most_bytes_) {
    arriving += bytes;
    return absl::OkStatus();
  }
  return MakeError(
      absl::StatusCode::kResourceExhausted, "QUOTA_BLOBS",
      absl::StrCat("the blobs that you brought take ", stored + arriving,
                   " of the ", most_bytes_,
                   " bytes that one caller's may; delete jobs, and what they "
                   "alone used goes with the next garbage collection"));
}

void UploadQuota::GiveBack(const std::string& creator, int64_t bytes) {
  absl::MutexLock lock(&mu_);
  const auto it = arriving_.find(creator);
  if (it == arriving_.end()) return;
  it->second -= bytes;
  if (it->second <= 0) arriving_.erase(it);
}

}  // namespace lathe

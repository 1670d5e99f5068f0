// Blobs: files named by their SHA-256, written beside, synced, renamed.
#ifndef LATHE_STORAGE_BLOB_STORE_H_
#define LATHE_STORAGE_BLOB_STORE_H_

#include <cstdint>
#include <limits>
#include <memory>
#include <set>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace lathe {

// Takes one blob in pieces; nothing is visible before Commit. Dropped without
// Commit it leaves what it took, for a later writer to go on with. Not
// thread-safe.
class BlobWriter {
 public:
  virtual ~BlobWriter() = default;
  // Errors: ResourceExhausted - disk full, or more than the limits.
  virtual absl::Status Append(absl::string_view bytes) = 0;
  // After OK the blob is there, also after a crash.
  // Errors: InvalidArgument - the bytes do not have the digest; they are gone.
  // Others: the disk failed; write the blob again.
  virtual absl::Status Commit() = 0;
};

// What a garbage collection removed, or would remove.
struct RemovedBlobs {
  int64_t blobs = 0;
  int64_t bytes = 0;
  // Of whole ones.
  std::vector<std::string> digests;
};

struct GarbageRules {
  // Digests that stay.
  std::set<std::string> referenced;
  // What was written or touched after this stays, too.
  absl::Time unused_since;
  // Only count.
  bool is_dry_run = false;
};

struct BlobLimits {
  // Of one blob.
  int64_t most_blob_bytes = 0;
  // Of all together, half-written ones included.
  int64_t most_bytes = std::numeric_limits<int64_t>::max();
};

// Thread-safe.
class BlobStore {
 public:
  // Blobs lie in `folder`, which is made.
  static absl::StatusOr<std::unique_ptr<BlobStore>> Open(
      const std::string& folder, const BlobLimits& limits);
  virtual ~BlobStore() = default;

  // Whether the blob was committed.
  virtual bool Contains(absl::string_view digest) const = 0;
  // Contains, and garbage collection counts the blob's age from now.
  virtual bool Touch(absl::string_view digest) const = 0;
  // Takes up what arrived earlier and goes on at `offset`, 0 for the start.
  // Errors: InvalidArgument - not a digest; OutOfRange - less has arrived.
  virtual absl::StatusOr<std::unique_ptr<BlobWriter>> Write(
      absl::string_view digest, int64_t offset = 0) = 0;
  // Bytes of a blob that arrived without being committed, which nobody writes
  // on at the moment.
  virtual int64_t PartialBytes(absl::string_view digest) const = 0;
  // Up to `most_bytes` from `offset`. Errors: NotFound; OutOfRange.
  virtual absl::StatusOr<std::string> Read(absl::string_view digest,
                                           int64_t offset,
                                           int64_t most_bytes) const = 0;
  // Errors: NotFound.
  virtual absl::StatusOr<int64_t> Size(absl::string_view digest) const = 0;
  // Reads the whole blob. Errors: NotFound; DataLoss - it has another digest.
  virtual absl::Status Verify(absl::string_view digest) const = 0;
  // Removes blobs, whole and partial, by the rules. A file that cannot be
  // removed stays for the next time.
  virtual RemovedBlobs CollectGarbage(const GarbageRules& rules) = 0;
};

}  // namespace lathe

#endif  // LATHE_STORAGE_BLOB_STORE_H_

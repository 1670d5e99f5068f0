// Blobs: files named by their SHA-256, written beside, synced, renamed.
#ifndef LATHE_STORAGE_BLOB_STORE_H_
#define LATHE_STORAGE_BLOB_STORE_H_

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace lathe {

// Takes one blob in pieces; nothing is visible before Commit. Dropped without
// Commit it leaves nothing. Not thread-safe.
class BlobWriter {
 public:
  virtual ~BlobWriter() = default;
  // Errors: ResourceExhausted - disk full, or more than the limit.
  virtual absl::Status Append(absl::string_view bytes) = 0;
  // Errors: InvalidArgument - the bytes do not have the digest.
  virtual absl::Status Commit() = 0;
};

// Thread-safe.
class BlobStore {
 public:
  // Blobs lie in `folder`, which is made; half-written files of an earlier
  // process are removed.
  static absl::StatusOr<std::unique_ptr<BlobStore>> Open(
      const std::string& folder, int64_t most_blob_bytes);
  virtual ~BlobStore() = default;

  virtual bool Contains(absl::string_view digest) const = 0;
  // Errors: InvalidArgument - not a digest.
  virtual absl::StatusOr<std::unique_ptr<BlobWriter>> Write(
      absl::string_view digest) = 0;
  // Up to `most_bytes` from `offset`. Errors: NotFound; OutOfRange.
  virtual absl::StatusOr<std::string> Read(absl::string_view digest,
                                           int64_t offset,
                                           int64_t most_bytes) const = 0;
  // Errors: NotFound.
  virtual absl::StatusOr<int64_t> Size(absl::string_view digest) const = 0;
};

}  // namespace lathe

#endif  // LATHE_STORAGE_BLOB_STORE_H_

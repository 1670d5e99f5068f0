// Blobs of the server as files of this machine.
#ifndef LATHE_CLIENT_WORKER_BLOB_CACHE_H_
#define LATHE_CLIENT_WORKER_BLOB_CACHE_H_

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace lathe {

// A folder of files named by digest, bounded in bytes: those not used for
// longest go. A file is verified when this process first uses it; a damaged
// one is fetched again. Processes may share the folder: what several need at
// once one of them fetches, into a file beside that it holds locked, and where
// a process died another goes on. Not thread-safe.
class BlobCache {
 public:
  // Appends to an open file what it lacks of a blob, and verifies all of it.
  using Fetch = std::function<absl::Status(const std::string& digest, int fd)>;

  // Makes the folder when it is missing.
  static absl::StatusOr<std::unique_ptr<BlobCache>> Open(
      const std::string& folder, int64_t most_bytes, Fetch fetch);

  // Brings all `digests` here and returns their files by digest. They stay
  // at least until the next call, even when they exceed the bound.
  //
  // Errors: those of Fetch; Unavailable - another process still fetches one;
  // ResourceExhausted - disk full.
  absl::StatusOr<std::map<std::string, std::string>> Bring(
      const std::set<std::string>& digests);

 private:
  BlobCache(std::string folder, int64_t most_bytes, Fetch fetch);

  std::string PathOf(const std::string& digest) const;
  absl::Status BringOne(const std::string& digest);
  // Whether the blob's file is here, and right.
  bool IsHere(const std::string& digest);
  absl::Status FetchOne(const std::string& digest);
  // Removes the files used longest ago, but none of `kept`, and what transfers
  // left that nobody goes on with.
  void Evict(const std::set<std::string>& kept);

  const std::string folder_;
  const int64_t most_bytes_;
  const Fetch fetch_;
  // Digests of files whose bytes this process has seen to be right.
  std::set<std::string> verified_;
};

}  // namespace lathe

#endif  // LATHE_CLIENT_WORKER_BLOB_CACHE_H_

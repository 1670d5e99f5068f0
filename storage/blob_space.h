// How many bytes a store's blobs take, and may take.
#ifndef LATHE_STORAGE_BLOB_SPACE_H_
#define LATHE_STORAGE_BLOB_SPACE_H_

#include <atomic>
#include <cstdint>

namespace lathe::storage {

// Thread-safe.
class BlobSpace {
 public:
  // `used_bytes` lie there already, also when that is more than may.
  BlobSpace(int64_t most_bytes, int64_t used_bytes)
      : most_bytes_(most_bytes), used_bytes_(used_bytes) {}

  // False, and nothing is taken, when there would be too many.
  bool Take(int64_t bytes) {
    if (used_bytes_.fetch_add(bytes) + bytes <= most_bytes_) return true;
    used_bytes_ -= bytes;
    return false;
  }
  void GiveBack(int64_t bytes) { used_bytes_ -= bytes; }

  int64_t most_bytes() const { return most_bytes_; }
  int64_t used_bytes() const { return used_bytes_; }

 private:
  const int64_t most_bytes_;
  std::atomic<int64_t> used_bytes_;
};

}  // namespace lathe::storage

#endif  // LATHE_STORAGE_BLOB_SPACE_H_

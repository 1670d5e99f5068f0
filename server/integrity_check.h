// Whether a whole state folder is as it must be.
#ifndef LATHE_SERVER_INTEGRITY_CHECK_H_
#define LATHE_SERVER_INTEGRITY_CHECK_H_

#include <string>

#include "absl/status/statusor.h"
#include "proto/artifact.pb.h"
#include "storage/blob_store.h"
#include "storage/store.h"

namespace lathe {

// Store::CheckIntegrity, that every recorded frontier is what the learned
// trials give, and that every blob referred to is there (with `reads_blobs`:
// and has its digest). Errors: the store's.
absl::StatusOr<v1::CheckIntegrityResponse> CheckState(Store& store,
                                                      const BlobStore& blobs,
                                                      bool reads_blobs);

// CheckState of a state folder that no server uses.
// Errors: also those of OpenStore.
absl::StatusOr<v1::CheckIntegrityResponse> CheckStateFolder(
    const std::string& folder, bool reads_blobs);

}  // namespace lathe

#endif  // LATHE_SERVER_INTEGRITY_CHECK_H_

// The SHA-256 of a file that need not fit into memory.
#ifndef LATHE_BASE_FILE_DIGEST_H_
#define LATHE_BASE_FILE_DIGEST_H_

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "base/digest.h"

namespace lathe {

// Adds all bytes of an open file, whatever its offset.
// Errors: Unavailable, ... - it cannot be read.
absl::Status AddFile(int fd, DigestBuilder* digest);

// Errors: NotFound; PermissionDenied, Unavailable - it cannot be read.
absl::StatusOr<std::string> Sha256HexOfFile(const std::string& path);

}  // namespace lathe

#endif  // LATHE_BASE_FILE_DIGEST_H_

// Bearer tokens: who has which role until when.
//
// A token is 256 random bits, so that its plain SHA-256 may lie in a file: it
// cannot be guessed back. The file has one line for each token, and # comments:
//
//   NAME ROLE EXPIRES SHA256
//   alice user 2027-03-01T00:00:00Z 9f86d081884c7d659a2feaa0c55ad015a3bf4f...
#ifndef LATHE_SERVER_TOKEN_TABLE_H_
#define LATHE_SERVER_TOKEN_TABLE_H_

#include <map>
#include <memory>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "server/roles.h"

namespace lathe {

struct TokenEntry {
  std::string name;
  Role role = Role::kViewer;
  absl::Time expires_at;
};

using TokensByDigest = std::map<std::string, TokenEntry, std::less<>>;

// Errors: InvalidArgument - a line of another form, with its number; a digest
// that stands twice.
absl::StatusOr<TokensByDigest> ParseTokens(absl::string_view text);

// Makes a token and adds its line to `path`, which is made when missing (mode
// 0600). The token itself is in the answer only.
//
// Errors: InvalidArgument - `name` is not 1-64 of letters, digits and ._@-;
// those of ReadFile and WriteFileAtomically.
absl::StatusOr<std::string> AddToken(const std::string& path,
                                     const TokenEntry& entry);

// The tokens of a file, read again when it changes. A file that cannot be read
// or parsed any more leaves the tokens as they were. Thread-safe.
class TokenTable {
 public:
  // Errors: those of ReadFile and ParseTokens.
  static absl::StatusOr<std::unique_ptr<TokenTable>> Open(
      const std::string& path);

  // `now` for the expiry, `steady_now` for how often the file is looked at.
  //
  // Errors: Unauthenticated (TOKEN_UNKNOWN, TOKEN_EXPIRED).
  absl::StatusOr<TokenEntry> Find(absl::string_view token, absl::Time now,
                                  absl::Time steady_now)
      ABSL_LOCKS_EXCLUDED(mu_);

 private:
  explicit TokenTable(std::string path) : path_(std::move(path)) {}
  // What tells one state of the file from another.
  std::string FileStamp() const;
  absl::Status Load() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void LookAgain(absl::Time steady_now) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  const std::string path_;
  absl::Mutex mu_;
  TokensByDigest tokens_ ABSL_GUARDED_BY(mu_);
  std::string stamp_ ABSL_GUARDED_BY(mu_);
  absl::Time next_look_ ABSL_GUARDED_BY(mu_) = absl::InfinitePast();
};

}  // namespace lathe

#endif  // LATHE_SERVER_TOKEN_TABLE_H_

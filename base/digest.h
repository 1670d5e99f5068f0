// SHA-256, the name of every blob, plan and dataset.
#ifndef LATHE_BASE_DIGEST_H_
#define LATHE_BASE_DIGEST_H_

#include <memory>
#include <string>

#include "absl/strings/string_view.h"

namespace lathe {

// A SHA-256 that is fed in pieces. Not thread-safe.
class DigestBuilder {
 public:
  DigestBuilder();
  ~DigestBuilder();
  DigestBuilder(const DigestBuilder&) = delete;
  DigestBuilder& operator=(const DigestBuilder&) = delete;

  void Add(absl::string_view bytes);
  // The digest of all bytes added, as 64 lower-case hexadecimal digits. Called
  // once, last.
  std::string Finish();

 private:
  struct Context;
  std::unique_ptr<Context> context_;
};

// The SHA-256 of `bytes` as 64 lower-case hexadecimal digits.
std::string Sha256Hex(absl::string_view bytes);

// Whether `text` has the form of a digest.
bool IsSha256Hex(absl::string_view text);

}  // namespace lathe

#endif  // LATHE_BASE_DIGEST_H_

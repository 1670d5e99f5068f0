#include "base/digest.h"

#include <openssl/evp.h>

#include <algorithm>
#include <cassert>

#include "absl/strings/escaping.h"

namespace lathe {

struct DigestBuilder::Context {
  EVP_MD_CTX* md = EVP_MD_CTX_new();
  ~Context() { EVP_MD_CTX_free(md); }
};

DigestBuilder::DigestBuilder() : context_(std::make_unique<Context>()) {
  // Looked up once; EVP_sha256() stands for a search at every digest.
  static const EVP_MD* const kSha256 =
      EVP_MD_fetch(/*ctx=*/nullptr, "SHA256", /*properties=*/nullptr);
  const int is_ready =
      EVP_DigestInit_ex(context_->md, kSha256, /*impl=*/nullptr);
  assert(is_ready == 1);
  (void)is_ready;
}

DigestBuilder::~DigestBuilder() = default;

void DigestBuilder::Add(absl::string_view bytes) {
  EVP_DigestUpdate(context_->md, bytes.data(), bytes.size());
}

std::string DigestBuilder::Finish() {
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned int length = 0;
  EVP_DigestFinal_ex(context_->md, digest, &length);
  return absl::BytesToHexString(
      absl::string_view(reinterpret_cast<const char*>(digest), length));
}

std::string Sha256Hex(absl::string_view bytes) {
  DigestBuilder builder;
  builder.Add(bytes);
  return builder.Finish();
}

bool IsSha256Hex(absl::string_view text) {
  return text.size() == 64 && std::all_of(text.begin(), text.end(), [](char c) {
           return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
         });
}

}  // namespace lathe

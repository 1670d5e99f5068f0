#include "server/tls.h"

#include <grpc/grpc_security_constants.h>
#include <grpcpp/security/tls_certificate_provider.h>
#include <grpcpp/security/tls_credentials_options.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <vector>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/file.h"
#include "base/status.h"

namespace lathe {
namespace {

absl::Status CheckKeyIsPrivate(const std::string& path) {
  struct stat info;
  if (stat(path.c_str(), &info) != 0) return ErrnoToStatus(errno, path);
  if ((info.st_mode & S_IRWXO) == 0) return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrCat("key file ", path, " can be used by everybody (mode 0",
                   absl::Hex(info.st_mode & 0777), " hex); chmod 600 it"));
}

// The certificate and its key must be readable and belong together: gRPC would
// only refuse every connection.
absl::Status CheckPair(const TlsFiles& files, absl::Time now) {
  LATHE_ASSIGN_OR_RETURN(const std::string chain, ReadFile(files.certificate));
  LATHE_ASSIGN_OR_RETURN(const std::string key_text, ReadFile(files.key));
  BIO* const chain_bio = BIO_new_mem_buf(chain.data(), chain.size());
  BIO* const key_bio = BIO_new_mem_buf(key_text.data(), key_text.size());
  X509* const certificate =
      PEM_read_bio_X509(chain_bio, nullptr, nullptr, nullptr);
  EVP_PKEY* const key =
      PEM_read_bio_PrivateKey(key_bio, nullptr, nullptr, nullptr);
  const absl::Cleanup free_all = [&] {
    EVP_PKEY_free(key);
    X509_free(certificate);
    BIO_free(key_bio);
    BIO_free(chain_bio);
  };
  if (certificate == nullptr) {
    return absl::InvalidArgumentError(
        absl::StrCat(files.certificate, " holds no PEM certificate"));
  }
  if (key == nullptr) {
    return absl::InvalidArgumentError(
        absl::StrCat(files.key, " holds no unencrypted PEM private key"));
  }
  if (X509_check_private_key(certificate, key) != 1) {
    return absl::InvalidArgumentError(absl::StrCat(
        files.key, " is not the key of the certificate ", files.certificate));
  }
  time_t seconds = absl::ToTimeT(now);
  if (X509_cmp_time(X509_get0_notAfter(certificate), &seconds) < 0) {
    return absl::FailedPreconditionError(absl::StrCat(
        "certificate ", files.certificate, " has expired; renew it"));
  }
  return absl::OkStatus();
}

std::string FirstProperty(const grpc::AuthContext& context, const char* name) {
  const std::vector<grpc::string_ref> values = context.FindPropertyValues(name);
  return values.empty() ? "" : std::string(values[0].data(), values[0].size());
}

}  // namespace

absl::StatusOr<std::shared_ptr<grpc::ServerCredentials>> MakeServerCredentials(
    const TlsFiles& files, absl::Time now) {
  if (files.certificate.empty() || files.key.empty()) {
    return absl::InvalidArgumentError(
        "TLS needs both --tls-cert and --tls-key");
  }
  LATHE_RETURN_IF_ERROR(CheckKeyIsPrivate(files.key));
  LATHE_RETURN_IF_ERROR(CheckPair(files, now));
  if (!files.client_ca.empty()) {
    LATHE_ASSIGN_OR_RETURN(const std::string ca, ReadFile(files.client_ca));
    if (!absl::StrContains(ca, "-----BEGIN CERTIFICATE-----")) {
      return absl::InvalidArgumentError(
          absl::StrCat(files.client_ca, " holds no PEM certificate"));
    }
  }
  const auto interval_s = static_cast<unsigned>(
      std::max<int64_t>(1, absl::ToInt64Seconds(files.reload_interval)));
  grpc::experimental::TlsServerCredentialsOptions options(
      std::make_shared<grpc::experimental::FileWatcherCertificateProvider>(
          files.key, files.certificate, files.client_ca, interval_s));
  options.watch_identity_key_cert_pairs();
  if (!files.client_ca.empty()) {
    options.watch_root_certs();
    options.set_cert_request_type(
        GRPC_SSL_REQUEST_CLIENT_CERTIFICATE_AND_VERIFY);
  }
  return grpc::experimental::TlsServerCredentials(options);
}

std::optional<CertificateHolder> HolderOf(const grpc::AuthContext& context) {
  if (!context.IsPeerAuthenticated()) return std::nullopt;
  CertificateHolder holder;
  holder.name = FirstProperty(context, GRPC_X509_CN_PROPERTY_NAME);
  holder.role =
      RoleOfSubject(FirstProperty(context, GRPC_X509_SUBJECT_PROPERTY_NAME));
  return holder;
}

std::optional<Role> RoleOfSubject(absl::string_view subject) {
  std::optional<Role> role;
  std::string part;
  const auto take_part = [&] {
    if (absl::StartsWith(part, "OU=")) {
      const std::optional<Role> named = ParseRole(part.substr(3));
      // Two roles are none: whoever made that certificate erred.
      if (named.has_value() && role.has_value()) return false;
      if (named.has_value()) role = named;
    }
    part.clear();
    return true;
  };
  for (size_t i = 0; i < subject.size(); ++i) {
    if (subject[i] == '\\') {
      // What is escaped is part of a value; no role has such a character.
      absl::StrAppend(&part, subject.substr(i, 2));
      ++i;
    } else if (subject[i] == ',' || subject[i] == '+') {
      if (!take_part()) return std::nullopt;
    } else if (!part.empty() || subject[i] != ' ') {
      part += subject[i];
    }
  }
  if (!take_part()) return std::nullopt;
  return role;
}

}  // namespace lathe

// The server's end of TLS.
#ifndef LATHE_SERVER_TLS_H_
#define LATHE_SERVER_TLS_H_

#include <grpcpp/security/auth_context.h>
#include <grpcpp/security/server_credentials.h>

#include <memory>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "server/roles.h"

namespace lathe {

struct TlsFiles {
  // PEM: the server's chain, its private key, and the authorities of clients'
  // certificates. Without the last no certificate is asked for.
  std::string certificate;
  std::string key;
  std::string client_ca;
  // How often changed files are looked for.
  absl::Duration reload_interval = absl::Seconds(60);

  bool is_on() const { return !certificate.empty(); }
};

// TLS 1.2 or newer. A client may come without a certificate, but not with one
// that is expired or of another authority. Files that change later are taken
// over by new connections; the key and certificate of a moment must belong
// together.
//
// Errors:
//   InvalidArgument - certificate and key are not both given; they do not
//     belong together, or are not PEM.
//   FailedPrecondition - the certificate expired; others may read the key.
//   NotFound, PermissionDenied - a file cannot be read.
absl::StatusOr<std::shared_ptr<grpc::ServerCredentials>> MakeServerCredentials(
    const TlsFiles& files, absl::Time now);

// Who a verified client certificate is for: its common name, and the role that
// its organisational unit (OU) names. Nothing without a verified certificate.
struct CertificateHolder {
  std::string name;
  std::optional<Role> role;
};
std::optional<CertificateHolder> HolderOf(const grpc::AuthContext& context);

// The role that a subject in the form of RFC 2253 names ("CN=w7,OU=worker"):
// that of its only OU which is a role's name.
std::optional<Role> RoleOfSubject(absl::string_view subject);

}  // namespace lathe

#endif  // LATHE_SERVER_TLS_H_

#include "client/credential_flags.h"

#include <CLI/CLI.hpp>

namespace lathe {

void AddCredentialFlags(CLI::App& app, Credentials& credentials) {
  app.add_option("--tls-ca", credentials.ca_file,
                 "authorities of the server's certificate (PEM); encrypts")
      ->envname("LATHE_TLS_CA")
      ->type_name("FILE");
  app.add_option("--tls-cert", credentials.certificate_file,
                 "certificate of this client (PEM)")
      ->envname("LATHE_TLS_CERT")
      ->type_name("FILE");
  app.add_option("--tls-key", credentials.key_file, "its private key (PEM)")
      ->envname("LATHE_TLS_KEY")
      ->type_name("FILE");
  app.add_option("--token-file", credentials.token_file,
                 "file with a token that `lathe-server token` made")
      ->envname("LATHE_TOKEN_FILE")
      ->type_name("FILE");
}

}  // namespace lathe

// The flags of programs that connect to a server.
#ifndef LATHE_CLIENT_CREDENTIAL_FLAGS_H_
#define LATHE_CLIENT_CREDENTIAL_FLAGS_H_

#include "client/channel.h"

namespace CLI {
class App;
}

namespace lathe {

// Adds --tls-ca, --tls-cert, --tls-key and --token-file, each with a variable
// of the environment that stands in for it; `credentials` must outlive `app`.
void AddCredentialFlags(CLI::App& app, Credentials& credentials);

}  // namespace lathe

#endif  // LATHE_CLIENT_CREDENTIAL_FLAGS_H_

// Where a server listens.
#ifndef LATHE_SERVER_LISTEN_ADDRESS_H_
#define LATHE_SERVER_LISTEN_ADDRESS_H_

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace lathe {

struct ListenAddress {
  // As given, without the brackets of an IPv6 address.
  std::string host;
  int port = 0;
  // Only this machine can reach it.
  bool is_loopback = false;
};

// "HOST:PORT" or "[HOST]:PORT"; port 0 is any free one.
//
// Errors:
//   InvalidArgument - another form, or a port beyond 65535.
absl::StatusOr<ListenAddress> ParseListenAddress(absl::string_view text);

// "HOST:PORT", with brackets where they are needed.
std::string FormatAddress(const std::string& host, int port);

}  // namespace lathe

#endif  // LATHE_SERVER_LISTEN_ADDRESS_H_

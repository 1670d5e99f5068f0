#include "server/listen_address.h"

#include <arpa/inet.h>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"

namespace lathe {
namespace {

bool IsLoopback(const std::string& host) {
  in_addr v4;
  if (inet_pton(AF_INET, host.c_str(), &v4) == 1) {
    return (ntohl(v4.s_addr) >> 24) == 127;
  }
  return host == "localhost" || host == "::1";
}

}  // namespace

absl::StatusOr<ListenAddress> ParseListenAddress(absl::string_view text) {
  const size_t colon = text.rfind(':');
  absl::string_view host = text.substr(0, colon);
  const bool has_brackets =
      absl::ConsumePrefix(&host, "[") && absl::ConsumeSuffix(&host, "]");
  ListenAddress address;
  const bool is_valid =
      colon != absl::string_view::npos && !host.empty() &&
      (has_brackets || !absl::StrContains(host, ":")) &&
      absl::SimpleAtoi(text.substr(colon + 1), &address.port) &&
      address.port >= 0 && address.port <= 65535;
  if (!is_valid) {
    return absl::InvalidArgumentError(
        absl::StrCat("listen address \"", text,
                     "\" is not HOST:PORT with a port in [0, 65535]"));
  }
  address.host = std::string(host);
  address.is_loopback = IsLoopback(address.host);
  return address;
}

std::string FormatAddress(const std::string& host, int port) {
  return absl::StrContains(host, ":") ? absl::StrCat("[", host, "]:", port)
                                      : absl::StrCat(host, ":", port);
}

}  // namespace lathe

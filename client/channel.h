// Connections to a lathe-server.
#ifndef LATHE_CLIENT_CHANNEL_H_
#define LATHE_CLIENT_CHANNEL_H_

#include <grpcpp/channel.h>

#include <memory>
#include <string>

#include "absl/time/time.h"

namespace lathe {

// How often an idle connection is probed. The server's least accepted ping
// interval must lie strictly below.
constexpr absl::Duration kKeepaliveInterval = absl::Seconds(30);

// The largest answer taken: a page of 1,000 trials of a network with 1,000
// layers stays below.
constexpr int kMostMessageBytes = 64 << 20;

// A plaintext channel to `address` ("HOST:PORT"), with keepalive, quick
// reconnection, and no proxy for loopback addresses. Connects on first use;
// never fails by itself: calls on it do. Thread-safe.
std::shared_ptr<grpc::Channel> MakeChannel(const std::string& address);

}  // namespace lathe

#endif  // LATHE_CLIENT_CHANNEL_H_

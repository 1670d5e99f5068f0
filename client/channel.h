// Connections to a lathe-server.
#ifndef LATHE_CLIENT_CHANNEL_H_
#define LATHE_CLIENT_CHANNEL_H_

#include <grpcpp/channel.h>

#include <cstdint>
#include <memory>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"

namespace lathe {

// How often an idle connection is probed. The server's least accepted ping
// interval must lie strictly below.
constexpr absl::Duration kKeepaliveInterval = absl::Seconds(30);

// The largest answer taken: a page of 1,000 trials of a network with 1,000
// layers stays below.
constexpr int kMostMessageBytes = 64 << 20;

// How a client proves who it is, and knows who the server is. Files only:
// secrets stand neither on a command line nor in a log.
struct Credentials {
  // Authorities of the server's certificate (PEM). Set, the connection is
  // encrypted; unset, it is plaintext.
  std::string ca_file;
  // The client's own certificate and key (PEM), for servers that want one.
  std::string certificate_file;
  std::string key_file;
  // Holds a bearer token; read again for every call, so that a new one needs
  // no restart.
  std::string token_file;
};

// For which lease a worker transfers blobs; goes along with every call
// (proto/artifact.proto). Thread-safe.
class LeaseIdentity {
 public:
  explicit LeaseIdentity(std::string session) : session_(std::move(session)) {}
  const std::string& session() const { return session_; }
  void SetFence(int64_t fence) ABSL_LOCKS_EXCLUDED(mu_);
  // 0 before the first lease.
  int64_t fence() const ABSL_LOCKS_EXCLUDED(mu_);

 private:
  const std::string session_;
  mutable absl::Mutex mu_;
  int64_t fence_ ABSL_GUARDED_BY(mu_) = 0;
};

// A channel to `address` ("HOST:PORT"), with keepalive, quick reconnection, and
// no proxy for loopback addresses. Connects on first use; calls on it fail, not
// this. `identity` may be null. Thread-safe.
//
// Errors:
//   InvalidArgument - a certificate without key or authorities, or a token for
//     a server beyond this machine without encryption.
//   NotFound, PermissionDenied - a file cannot be read.
absl::StatusOr<std::shared_ptr<grpc::Channel>> OpenChannel(
    const std::string& address, const Credentials& credentials,
    std::shared_ptr<const LeaseIdentity> identity = nullptr);

// OpenChannel without credentials, which cannot fail.
std::shared_ptr<grpc::Channel> MakeChannel(const std::string& address);

}  // namespace lathe

#endif  // LATHE_CLIENT_CHANNEL_H_

// The whole server: state folder, services, search loops.
#ifndef LATHE_SERVER_SERVER_H_
#define LATHE_SERVER_SERVER_H_

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "server/housekeeper.h"
#include "server/lease_table.h"
#include "server/quotas.h"
#include "server/tls.h"
#include "storage/blob_store.h"

namespace lathe {

struct ServerOptions {
  // Holds the database, the blobs (`blobs/`) and the `address` served; made
  // when missing. One server at a time.
  std::string state_folder;
  // "HOST:PORT"; port 0 is any free one.
  std::string listen = "127.0.0.1:0";
  // Where other machines can reach it: serve without encryption, or without
  // asking for credentials.
  bool is_insecure_allowed = false;
  // Unset: plaintext.
  TlsFiles tls;
  // File of tokens (server/token_table.h); empty: none are asked for.
  std::string tokens_file;
  // "HOST:PORT" for Prometheus, over HTTP (/metrics); empty: none.
  std::string http;
  LeaseTimes lease_times;
  RetentionRules retention;
  Quotas quotas;
  // Largest request taken. A completion of a network with thousands of layers
  // has about a megabyte.
  int most_request_bytes = 64 << 20;
  BlobLimits blob_limits{/*most_blob_bytes=*/int64_t{64} << 30};
  // Jobs searched at once, each by a thread of its own; others wait. Far below
  // what systemd and containers allow (some thousands).
  int most_searches = 1000;
  // Threads for calls that wait for the disk; many share one commit.
  int work_threads = 32;
  // Watches and transfers of blobs open at once.
  int most_streams = 2000;
};

// Serves from Start until Shutdown. Jobs that had not ended go on where they
// were; leases that were active get time for their workers to come back.
// Thread-safe.
class Server {
 public:
  // Errors:
  //   InvalidArgument - `listen` is malformed, or not loopback without TLS and
  //     credentials or is_insecure_allowed; the tokens or TLS files make no
  //     sense.
  //   FailedPrecondition - the state folder is used by another server; the
  //     certificate expired, or everybody may read its key.
  //   Unavailable - the address is taken.
  //   Others of OpenStore.
  static absl::StatusOr<std::unique_ptr<Server>> Start(
      const ServerOptions& options);
  // Shutdown with no grace.
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  int port() const;
  // "HOST:PORT", for clients on this machine.
  const std::string& address() const;
  // Of the metrics; 0 without.
  int http_port() const;

  // Ends open streams and long polls, lets other calls finish for `grace`,
  // then cancels them; ends the search loops. Later calls wait for the first.
  void Shutdown(absl::Duration grace);
  // Waits until Shutdown has ended all calls.
  void Wait();

 private:
  struct Parts;
  explicit Server(std::unique_ptr<Parts> parts);

  const std::unique_ptr<Parts> parts_;
};

}  // namespace lathe

#endif  // LATHE_SERVER_SERVER_H_

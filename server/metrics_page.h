// The page that Prometheus reads.
#ifndef LATHE_SERVER_METRICS_PAGE_H_
#define LATHE_SERVER_METRICS_PAGE_H_

#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace prometheus {
class Collectable;
}  // namespace prometheus

namespace lathe {

// Answers GET /metrics over HTTP/1.0, one caller at a time, each within two
// seconds or not at all, until destroyed.
// (prometheus-cpp's own page stands on civetweb, which failed to start inside
// lathe-server and not in small programs; the cause is not known.)
class MetricsPage {
 public:
  using Sources = std::vector<std::shared_ptr<prometheus::Collectable>>;

  // `host` is a numeric IPv4 address or "localhost"; port 0 is any free one.
  // Errors:
  //   InvalidArgument - another host.
  //   Unavailable - the address is taken or not this machine's.
  static absl::StatusOr<std::unique_ptr<MetricsPage>> Serve(
      const std::string& host, int port, Sources sources);
  ~MetricsPage();
  MetricsPage(const MetricsPage&) = delete;
  MetricsPage& operator=(const MetricsPage&) = delete;

  int port() const { return port_; }

 private:
  MetricsPage(int listener, int port, Sources sources);
  void AcceptCallers();
  void AnswerCaller(int caller) const;
  // Waits until the caller can be read from or written to (POLLIN, POLLOUT);
  // false when this object ends, or at `deadline` (SteadyNow's).
  bool Await(int caller, short event, absl::Time deadline) const;
  // The request up to the empty line; shorter when it does not come.
  std::string ReadRequest(int caller, absl::Time deadline) const;
  void SendAll(int caller, absl::string_view bytes, absl::Time deadline) const;
  std::string AnswerTo(const std::string& request) const;

  const Sources sources_;
  const int listener_;
  const int port_;
  const int end_fd_;
  std::thread thread_;
};

}  // namespace lathe

#endif  // LATHE_SERVER_METRICS_PAGE_H_

#include "server/metrics_page.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <prometheus/collectable.h>
#include <prometheus/text_serializer.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <iterator>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "server/steady.h"

namespace lathe {
namespace {

// A caller that is slower than this, or says more, gets no answer.
constexpr absl::Duration kPatience = absl::Seconds(2);
constexpr size_t kMostRequestBytes = 8192;

absl::Status Failed(const std::string& host, int port) {
  return absl::UnavailableError(
      absl::StrCat("cannot serve metrics on ", host, ":", port,
                   " (--http): ", std::strerror(errno)));
}

std::string Response(absl::string_view status, absl::string_view body) {
  return absl::StrCat("HTTP/1.0 ", status,
                      "\r\nContent-Type: text/plain; version=0.0.4; "
                      "charset=utf-8\r\nContent-Length: ",
                      body.size(), "\r\nConnection: close\r\n\r\n", body);
}

}  // namespace

absl::StatusOr<std::unique_ptr<MetricsPage>> MetricsPage::Serve(
    const std::string& host, int port, Sources sources) {
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(port));
  const std::string number = host == "localhost" ? "127.0.0.1" : host;
  if (inet_pton(AF_INET, number.c_str(), &address.sin_addr) != 1) {
    return absl::InvalidArgumentError(
        absl::StrCat("--http: host \"", host.substr(0, 80),
                     "\" is not a numeric IPv4 address"));
  }
  const int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (listener < 0) return Failed(host, port);
  const int yes = 1;
  setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
  socklen_t size = sizeof(address);
  auto* generic = reinterpret_cast<sockaddr*>(&address);
  if (bind(listener, generic, size) != 0 || listen(listener, SOMAXCONN) != 0 ||
      getsockname(listener, generic, &size) != 0) {
    const absl::Status status = Failed(host, port);
    close(listener);
    return status;
  }
  return std::unique_ptr<MetricsPage>(
      new MetricsPage(listener, ntohs(address.sin_port), std::move(sources)));
}

MetricsPage::MetricsPage(int listener, int port, Sources sources)
    : sources_(std::move(sources)),
      listener_(listener),
      port_(port),
      end_fd_(eventfd(0, EFD_CLOEXEC)),
      thread_([this] { AcceptCallers(); }) {}

MetricsPage::~MetricsPage() {
  eventfd_write(end_fd_, 1);
  thread_.join();
  close(end_fd_);
  close(listener_);
}

void MetricsPage::AcceptCallers() {
  for (;;) {
    pollfd waited[] = {{end_fd_, POLLIN, 0}, {listener_, POLLIN, 0}};
    poll(waited, 2, /*timeout=*/-1);
    if (waited[0].revents != 0) return;
    const int caller =
        accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (caller < 0) continue;
    AnswerCaller(caller);
    close(caller);
  }
}

void MetricsPage::AnswerCaller(int caller) const {
  const absl::Time deadline = SteadyNow() + kPatience;
  SendAll(caller, AnswerTo(ReadRequest(caller, deadline)), deadline);
}

bool MetricsPage::Await(int caller, short event, absl::Time deadline) const {
  pollfd waited[] = {{end_fd_, POLLIN, 0}, {caller, event, 0}};
  const int64_t left_ms = absl::ToInt64Milliseconds(deadline - SteadyNow());
  if (left_ms <= 0) return false;
  poll(waited, 2, static_cast<int>(left_ms));
  return waited[0].revents == 0 && waited[1].revents != 0;
}

std::string MetricsPage::ReadRequest(int caller, absl::Time deadline) const {
  std::string request;
  char buffer[1024];
  while (request.size() < kMostRequestBytes &&
         !absl::StrContains(request, "\r\n\r\n") &&
         Await(caller, POLLIN, deadline)) {
    const ssize_t count = recv(caller, buffer, sizeof(buffer), 0);
    if (count <= 0) break;
    request.append(buffer, static_cast<size_t>(count));
  }
  return request;
}

void MetricsPage::SendAll(int caller, absl::string_view bytes,
                          absl::Time deadline) const {
  while (!bytes.empty() && Await(caller, POLLOUT, deadline)) {
    const ssize_t sent = send(caller, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent <= 0) return;
    bytes.remove_prefix(static_cast<size_t>(sent));
  }
}

std::string MetricsPage::AnswerTo(const std::string& request) const {
  if (!absl::StartsWith(request, "GET /metrics ")) {
    return Response("404 Not Found", "see /metrics\n");
  }
  std::vector<prometheus::MetricFamily> families;
  for (const auto& source : sources_) {
    std::vector<prometheus::MetricFamily> more = source->Collect();
    families.insert(families.end(), std::make_move_iterator(more.begin()),
                    std::make_move_iterator(more.end()));
  }
  return Response("200 OK", prometheus::TextSerializer().Serialize(families));
}

}  // namespace lathe

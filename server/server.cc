#include "server/server.h"

#include <grpcpp/ext/proto_server_reflection_plugin.h>
#include <grpcpp/health_check_service_interface.h>
#include <grpcpp/resource_quota.h>
#include <grpcpp/security/server_credentials.h>
#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/status.h"
#include "server/admin_service.h"
#include "server/artifact_service.h"
#include "server/audit_log.h"
#include "server/blob_access.h"
#include "server/call_gate.h"
#include "server/completion_desk.h"
#include "server/frontier_tracker.h"
#include "server/housekeeper.h"
#include "server/job_control.h"
#include "server/lease_desk.h"
#include "server/listen_address.h"
#include "server/metrics.h"
#include "server/metrics_interceptor.h"
#include "server/metrics_page.h"
#include "server/retry_holds.h"
#include "server/search_loops.h"
#include "server/search_service.h"
#include "server/signals.h"
#include "server/state_metrics.h"
#include "server/steady.h"
#include "server/sweeper.h"
#include "server/tls.h"
#include "server/token_table.h"
#include "server/upload_quota.h"
#include "server/watch_hub.h"
#include "server/work_pool.h"
#include "server/worker_registry.h"
#include "server/worker_service.h"
#include "storage/blob_store.h"
#include "storage/sqlite_store.h"

namespace lathe {
namespace {

// Clients ping every 30 s (client/channel.h); what pings more often than this
// is cut off.
constexpr int kLeastPingIntervalMs = 5'000;
// How soon the server notices that a silent client is gone.
constexpr int kKeepaliveMs = 30'000;
constexpr int kKeepaliveTimeoutMs = 10'000;
// Of all connections together: messages that are being received.
constexpr size_t kMostBufferBytes = size_t{1} << 30;
constexpr int kMostStreamsPerConnection = 200;
constexpr absl::Duration kTidyInterval = absl::Hours(1);
constexpr absl::Duration kLastAnswers = absl::Milliseconds(500);

absl::Status CheckMayListen(const ListenAddress& listen,
                            const std::string& address,
                            const ServerOptions& options) {
  if (listen.is_loopback || options.is_insecure_allowed) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(absl::StrCat(
      "listen address ", address,
      " can be reached from other machines, without encryption or "
      "authentication; listen on 127.0.0.1, or allow it with --insecure"));
}

}  // namespace

// Members are destroyed from the last to the first: what serves before what it
// serves from.
struct Server::Parts {
  Parts(const ServerOptions& server_options,
        std::unique_ptr<Metrics> made_metrics,
        std::unique_ptr<Store> open_store,
        std::unique_ptr<BlobStore> open_blobs, AccessRules rules);

  void ConnectSignals();
  absl::Status Listen(const ListenAddress& listen,
                      const std::shared_ptr<grpc::ServerCredentials>& from);
  void Configure(grpc::ServerBuilder& builder);
  void StartSweepers();
  absl::Status ServeMetrics();

  const ServerOptions options;
  const std::unique_ptr<Metrics> metrics;
  const std::unique_ptr<Store> store;
  const std::unique_ptr<BlobStore> blobs;
  Signals signals;
  LeaseTable leases;
  WorkerRegistry workers;
  WatchHub watchers;
  FrontierTracker frontiers;
  Housekeeper housekeeper;
  RetryHolds holds;
  JobControl control;
  LeaseDesk lease_desk;
  CompletionDesk completion_desk;
  SearchLoops loops;
  WorkPool pool;
  CallGate gate;
  BlobAccess blob_access;
  UploadQuota upload_quota;
  SearchService search;
  WorkerService worker_calls;
  ArtifactService artifacts;
  AdminService admin;
  std::unique_ptr<grpc::Server> grpc;
  std::optional<Sweeper> sweeper;
  std::optional<Sweeper> tidier;
  std::unique_ptr<MetricsPage> metrics_page;
  std::string address;
  int port = 0;

  absl::Mutex shutdown_mu;
  bool is_shut_down ABSL_GUARDED_BY(shutdown_mu) = false;
};

Server::Parts::Parts(const ServerOptions& server_options,
                     std::unique_ptr<Metrics> made_metrics,
                     std::unique_ptr<Store> open_store,
                     std::unique_ptr<BlobStore> open_blobs, AccessRules rules)
    : options(server_options),
      metrics(std::move(made_metrics)),
      store(std::move(open_store)),
      blobs(std::move(open_blobs)),
      frontiers(store.get()),
      housekeeper(store.get(), blobs.get(), &frontiers, &workers,
                  options.retention),
      holds(options.lease_times.retry),
      control(store.get(), &leases, &signals),
      lease_desk(store.get(), &leases, &workers, &control, &holds, &frontiers,
                 &signals, metrics.get(), options.lease_times),
      completion_desk({store.get(), blobs.get(), &leases, &workers, &frontiers,
                       &holds, &signals, metrics.get(),
                       options.quotas.most_running_trials > 0}),
      loops({store.get(), &control, &frontiers, &workers, &signals,
             metrics.get()},
            options.most_searches),
      pool(options.work_threads),
      gate(std::move(rules), &pool),
      blob_access(store.get(), &workers),
      upload_quota(store.get(), options.quotas.most_blob_bytes),
      search({store.get(), blobs.get(), &control, &loops, &frontiers, &workers,
              &leases, &watchers, &gate, &signals, options.quotas}),
      worker_calls({store.get(), &leases, &lease_desk, &completion_desk,
                    &workers, &gate, &signals, options.lease_times}),
      artifacts({blobs.get(), store.get(), &blob_access, &upload_quota, &gate}),
      admin({store.get(), blobs.get(), &housekeeper, &leases, &workers, &gate,
             &signals, options.tls.is_on()}) {
  ConnectSignals();
}

void Server::Parts::ConnectSignals() {
  signals.job_changed = [this](const std::string& job) {
    watchers.Notify(job);
    loops.Wake(job);
  };
  signals.trials_pending = [this] { lease_desk.NotifyPending(); };
  signals.workers_changed = [this] {
    loops.WakeAll();
    lease_desk.NotifyPending();
  };
}

void Server::Parts::Configure(grpc::ServerBuilder& builder) {
  builder.SetMaxReceiveMessageSize(options.most_request_bytes);
  // What strangers can make the server hold before it knows who they are.
  grpc::ResourceQuota quota("lathe");
  quota.Resize(kMostBufferBytes);
  builder.SetResourceQuota(quota);
  builder.AddChannelArgument(GRPC_ARG_MAX_CONCURRENT_STREAMS,
                             kMostStreamsPerConnection);
  // Two servers on one port would each get half of the calls.
  builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
  builder.AddChannelArgument(
      GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS,
      kLeastPingIntervalMs);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
  // A limit would hold back the keepalive, and the ping that ends a connection,
  // on streams that are silent for long.
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIME_MS, kKeepaliveMs);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIMEOUT_MS,
                             kKeepaliveTimeoutMs);
  std::vector<
      std::unique_ptr<grpc::experimental::ServerInterceptorFactoryInterface>>
      interceptors;
  interceptors.push_back(
      std::make_unique<MetricsInterceptorFactory>(metrics.get()));
  builder.experimental().SetInterceptorCreators(std::move(interceptors));
  builder.RegisterService(&search);
  builder.RegisterService(&worker_calls);
  builder.RegisterService(&artifacts);
  builder.RegisterService(&admin);
}

absl::Status Server::Parts::Listen(
    const ListenAddress& listen,
    const std::shared_ptr<grpc::ServerCredentials>& from) {
  grpc::EnableDefaultHealthCheckService(true);
  grpc::reflection::InitProtoReflectionServerBuilderPlugin();
  grpc::ServerBuilder builder;
  Configure(builder);
  builder.AddListeningPort(FormatAddress(listen.host, listen.port), from,
                           &port);
  grpc = builder.BuildAndStart();
  if (grpc == nullptr || port == 0) {
    return absl::UnavailableError(
        absl::StrCat("cannot listen on ", options.listen,
                     ": the address is taken or not this machine's"));
  }
  address = FormatAddress(listen.host, port);
  return absl::OkStatus();
}

absl::Status Server::Parts::ServeMetrics() {
  if (options.http.empty()) return absl::OkStatus();
  LATHE_ASSIGN_OR_RETURN(const ListenAddress listen,
                         ParseListenAddress(options.http));
  LATHE_RETURN_IF_ERROR(CheckMayListen(listen, options.http, options));
  StateMetricsParts sources{
      store.get(),          &leases,       &workers, &loops,
      options.state_folder, options.quotas};
  LATHE_ASSIGN_OR_RETURN(
      metrics_page,
      MetricsPage::Serve(listen.host, listen.port,
                         {metrics->registry(),
                          std::make_shared<StateMetrics>(std::move(sources))}));
  return absl::OkStatus();
}

namespace {

absl::Status CheckExposure(const ServerOptions& options,
                           const ListenAddress& listen) {
  if (listen.is_loopback || options.is_insecure_allowed) {
    return absl::OkStatus();
  }
  if (!options.tls.is_on()) {
    return absl::InvalidArgumentError(absl::StrCat(
        "listen address ", options.listen,
        " can be reached from other machines, without encryption; give "
        "--tls-cert and --tls-key, listen on 127.0.0.1, or allow it with "
        "--insecure"));
  }
  if (options.tokens_file.empty() && options.tls.client_ca.empty()) {
    return absl::InvalidArgumentError(absl::StrCat(
        "listen address ", options.listen,
        " can be reached from other machines, and nobody would be asked who "
        "they are; give --tokens or --client-ca, listen on 127.0.0.1, or allow "
        "it with --insecure"));
  }
  return absl::OkStatus();
}

absl::StatusOr<AccessRules> MakeAccessRules(const ServerOptions& options) {
  AccessRules rules;
  if (!options.tokens_file.empty()) {
    LATHE_ASSIGN_OR_RETURN(rules.tokens, TokenTable::Open(options.tokens_file));
  }
  rules.has_client_ca = options.tls.is_on() && !options.tls.client_ca.empty();
  rules.most_streams = options.most_streams;
  LATHE_ASSIGN_OR_RETURN(rules.audit, AuditLog::Open(absl::StrCat(
                                          options.state_folder, "/audit.log")));
  return rules;
}

absl::StatusOr<std::shared_ptr<grpc::ServerCredentials>> MakeCredentials(
    const ServerOptions& options) {
  const TlsFiles& tls = options.tls;
  if (tls.certificate.empty() && tls.key.empty() && tls.client_ca.empty()) {
    return grpc::InsecureServerCredentials();
  }
  return MakeServerCredentials(tls, absl::Now());
}

}  // namespace

absl::StatusOr<std::unique_ptr<Server>> Server::Start(
    const ServerOptions& options) {
  LATHE_ASSIGN_OR_RETURN(const ListenAddress listen,
                         ParseListenAddress(options.listen));
  LATHE_RETURN_IF_ERROR(CheckExposure(options, listen));
  LATHE_ASSIGN_OR_RETURN(const auto credentials, MakeCredentials(options));
  auto metrics = std::make_unique<Metrics>();
  StoreOptions store_options;
  store_options.folder = options.state_folder;
  store_options.most_running_trials = options.quotas.most_running_trials;
  store_options.on_commit = [counts = metrics.get()](const CommitReport& r) {
    counts->ObserveCommit(r.writes, r.duration);
  };
  LATHE_ASSIGN_OR_RETURN(std::unique_ptr<Store> store,
                         OpenStore(store_options));
  LATHE_ASSIGN_OR_RETURN(
      std::unique_ptr<BlobStore> blobs,
      BlobStore::Open(absl::StrCat(options.state_folder, "/blobs"),
                      options.blob_limits));
  LATHE_ASSIGN_OR_RETURN(AccessRules rules, MakeAccessRules(options));
  auto parts =
      std::make_unique<Parts>(options, std::move(metrics), std::move(store),
                              std::move(blobs), std::move(rules));
  Parts& p = *parts;
  std::unique_ptr<Server> server(new Server(std::move(parts)));
  LATHE_RETURN_IF_ERROR(p.lease_desk.Restore());
  LATHE_RETURN_IF_ERROR(p.loops.StartAll());
  LATHE_RETURN_IF_ERROR(p.Listen(listen, credentials));
  LATHE_RETURN_IF_ERROR(p.ServeMetrics());
  p.StartSweepers();
  LATHE_RETURN_IF_ERROR(WriteFileAtomically(
      absl::StrCat(options.state_folder, "/address"), p.address));
  return server;
}

void Server::Parts::StartSweepers() {
  sweeper.emplace(options.lease_times.sweep_interval, [this] {
    lease_desk.Sweep(SteadyNow());
    workers.Forget(SteadyNow());
    loops.StartWaiting();
  });
  tidier.emplace(kTidyInterval, [this] {
    const absl::Status tidied = housekeeper.Tidy(absl::Now(), SteadyNow());
    if (!tidied.ok()) {
      LATHE_LOG(kWarning) << "tidying: " << tidied;
    }
  });
}

Server::Server(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}

Server::~Server() { Shutdown(absl::ZeroDuration()); }

int Server::port() const { return parts_->port; }

int Server::http_port() const {
  return parts_->metrics_page == nullptr ? 0 : parts_->metrics_page->port();
}

const std::string& Server::address() const { return parts_->address; }

void Server::Shutdown(absl::Duration grace) {
  absl::MutexLock lock(&parts_->shutdown_mu);
  if (parts_->is_shut_down) return;
  parts_->is_shut_down = true;
  parts_->lease_desk.Close();
  parts_->watchers.Close();
  if (parts_->grpc != nullptr) {
    parts_->pool.open_calls().AwaitNone(SteadyNow() + grace);
    // What is left is to send the last answers, and calls beyond the grace.
    const absl::Duration rest = std::min(grace, kLastAnswers);
    parts_->grpc->Shutdown(std::chrono::system_clock::now() +
                           absl::ToChronoMilliseconds(rest));
  }
  parts_->metrics_page.reset();
  parts_->sweeper.reset();
  parts_->tidier.reset();
  parts_->loops.Stop();
}

void Server::Wait() {
  if (parts_->grpc != nullptr) parts_->grpc->Wait();
}

}  // namespace lathe

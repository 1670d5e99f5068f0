#include "server/server.h"

#include <grpcpp/ext/proto_server_reflection_plugin.h>
#include <grpcpp/health_check_service_interface.h>
#include <grpcpp/security/server_credentials.h>
#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>

#include <algorithm>
#include <chrono>
#include <optional>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "base/file.h"
#include "base/log.h"
#include "base/status.h"
#include "server/admin_service.h"
#include "server/artifact_service.h"
#include "server/completion_desk.h"
#include "server/frontier_tracker.h"
#include "server/job_control.h"
#include "server/lease_desk.h"
#include "server/listen_address.h"
#include "server/search_loops.h"
#include "server/search_service.h"
#include "server/signals.h"
#include "server/steady.h"
#include "server/sweeper.h"
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
constexpr absl::Duration kLastAnswers = absl::Milliseconds(500);

}  // namespace

// Members are destroyed from the last to the first: what serves before what it
// serves from.
struct Server::Parts {
  Parts(const ServerOptions& server_options, std::unique_ptr<Store> open_store,
        std::unique_ptr<BlobStore> open_blobs);

  void ConnectSignals();
  absl::Status Listen(const ListenAddress& listen);
  void Configure(grpc::ServerBuilder& builder);

  const ServerOptions options;
  const std::unique_ptr<Store> store;
  const std::unique_ptr<BlobStore> blobs;
  Signals signals;
  LeaseTable leases;
  WorkerRegistry workers;
  WatchHub watchers;
  FrontierTracker frontiers;
  JobControl control;
  LeaseDesk lease_desk;
  CompletionDesk completion_desk;
  SearchLoops loops;
  WorkPool pool;
  SearchService search;
  WorkerService worker_calls;
  ArtifactService artifacts;
  AdminService admin;
  std::unique_ptr<grpc::Server> grpc;
  std::optional<Sweeper> sweeper;
  std::string address;
  int port = 0;

  absl::Mutex shutdown_mu;
  bool is_shut_down ABSL_GUARDED_BY(shutdown_mu) = false;
};

Server::Parts::Parts(const ServerOptions& server_options,
                     std::unique_ptr<Store> open_store,
                     std::unique_ptr<BlobStore> open_blobs)
    : options(server_options),
      store(std::move(open_store)),
      blobs(std::move(open_blobs)),
      frontiers(store.get()),
      control(store.get(), &leases, &signals),
      lease_desk(store.get(), &leases, &workers, &control, &signals,
                 options.lease_times),
      completion_desk(
          {store.get(), blobs.get(), &leases, &workers, &frontiers, &signals}),
      loops({store.get(), &control, &frontiers, &workers, &signals}),
      pool(options.work_threads),
      search({store.get(), blobs.get(), &control, &loops, &frontiers, &watchers,
              &pool, &signals}),
      worker_calls({store.get(), &leases, &lease_desk, &completion_desk,
                    &workers, &pool, &signals, options.lease_times}),
      artifacts(blobs.get(), &pool),
      admin({store.get(), &leases, &workers, &pool, &signals}) {
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
  builder.RegisterService(&search);
  builder.RegisterService(&worker_calls);
  builder.RegisterService(&artifacts);
  builder.RegisterService(&admin);
}

absl::Status Server::Parts::Listen(const ListenAddress& listen) {
  grpc::EnableDefaultHealthCheckService(true);
  grpc::reflection::InitProtoReflectionServerBuilderPlugin();
  grpc::ServerBuilder builder;
  Configure(builder);
  builder.AddListeningPort(FormatAddress(listen.host, listen.port),
                           grpc::InsecureServerCredentials(), &port);
  grpc = builder.BuildAndStart();
  if (grpc == nullptr || port == 0) {
    return absl::UnavailableError(
        absl::StrCat("cannot listen on ", options.listen,
                     ": the address is taken or not this machine's"));
  }
  address = FormatAddress(listen.host, port);
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<Server>> Server::Start(
    const ServerOptions& options) {
  LATHE_ASSIGN_OR_RETURN(const ListenAddress listen,
                         ParseListenAddress(options.listen));
  if (!listen.is_loopback && !options.is_insecure_allowed) {
    return absl::InvalidArgumentError(absl::StrCat(
        "listen address ", options.listen,
        " can be reached from other machines, without encryption or "
        "authentication; listen on 127.0.0.1, or allow it with --insecure"));
  }
  StoreOptions store_options;
  store_options.folder = options.state_folder;
  LATHE_ASSIGN_OR_RETURN(std::unique_ptr<Store> store,
                         OpenStore(store_options));
  LATHE_ASSIGN_OR_RETURN(
      std::unique_ptr<BlobStore> blobs,
      BlobStore::Open(absl::StrCat(options.state_folder, "/blobs"),
                      options.most_blob_bytes));
  auto parts =
      std::make_unique<Parts>(options, std::move(store), std::move(blobs));
  Parts& p = *parts;
  std::unique_ptr<Server> server(new Server(std::move(parts)));
  LATHE_RETURN_IF_ERROR(p.lease_desk.Restore());
  LATHE_RETURN_IF_ERROR(p.loops.StartAll());
  LATHE_RETURN_IF_ERROR(p.Listen(listen));
  p.sweeper.emplace(options.lease_times.sweep_interval, [&p] {
    p.lease_desk.Sweep(SteadyNow());
    p.workers.Forget(SteadyNow());
  });
  LATHE_RETURN_IF_ERROR(WriteFileAtomically(
      absl::StrCat(options.state_folder, "/address"), p.address));
  return server;
}

Server::Server(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}

Server::~Server() { Shutdown(absl::ZeroDuration()); }

int Server::port() const { return parts_->port; }

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
  parts_->sweeper.reset();
  parts_->loops.Stop();
}

void Server::Wait() {
  if (parts_->grpc != nullptr) parts_->grpc->Wait();
}

}  // namespace lathe

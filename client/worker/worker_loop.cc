#include "client/worker/worker_loop.h"

#include <sys/prctl.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <memory>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/log.h"
#include "base/status.h"
#include "client/blobs.h"
#include "client/channel.h"
#include "client/retry.h"
#include "client/worker/blob_cache.h"
#include "client/worker/evaluator_process.h"
#include "client/worker/lease_work.h"
#include "client/worker/server_link.h"
#include "client/worker/work_folder.h"
#include "client/worker/worker_control.h"

namespace lathe {
namespace {

// Codes by which a server says that it will never take this worker.
bool IsRefusal(const absl::Status& status) {
  return absl::IsUnauthenticated(status) || absl::IsPermissionDenied(status) ||
         absl::IsUnimplemented(status) || absl::IsInvalidArgument(status);
}

RetryOptions ReconnectBackoff() {
  RetryOptions options;
  options.most_backoff = absl::Seconds(3);
  return options;
}

absl::Status CheckOptions(const WorkerOptions& options) {
  if (options.server.empty()) {
    return absl::InvalidArgumentError("no server is given (HOST:PORT)");
  }
  if (options.threads < 1) {
    return absl::InvalidArgumentError(
        absl::StrCat("threads = ", options.threads, ", not at least 1"));
  }
  if (options.evaluation_memory_bytes < 0) {
    return absl::InvalidArgumentError(absl::StrCat(
        "evaluation_memory_bytes = ", options.evaluation_memory_bytes,
        ", below 0"));
  }
  if (options.cache_folder.empty()) {
    return absl::InvalidArgumentError("no cache folder is given");
  }
  return absl::OkStatus();
}

// One short round of retries, so that a stop is soon seen.
absl::Status FetchBlob(const ServerLink& link, const std::string& digest,
                       int fd) {
  RetryOptions retry;
  retry.give_up_after = absl::Seconds(5);
  return DownloadToFile(link.channel(), digest, fd, retry);
}

std::string HostName() {
  char name[256] = "";
  gethostname(name, sizeof(name) - 1);
  return name;
}

EvaluatorProcessOptions EvaluatorOptionsOf(const WorkerOptions& options) {
  EvaluatorProcessOptions evaluator;
  evaluator.command = options.evaluator_command;
  if (evaluator.command.empty()) {
    // Not by its path: that file may be replaced while we run.
    evaluator.program = "/proc/self/exe";
    evaluator.command = {program_invocation_name, "evaluate"};
  }
  if (options.evaluation_memory_bytes > 0) {
    evaluator.command.insert(
        evaluator.command.end(),
        {"--memory-bytes", absl::StrCat(options.evaluation_memory_bytes)});
  }
  evaluator.time_limit = options.evaluation_time_limit;
  return evaluator;
}

WorkerEnd EndOf(const Placement& placement) {
  WorkerEnd end;
  end.is_scheduled = placement.is_scheduled();
  if (placement.end.has_value()) end.lifetime = *placement.end - absl::Now();
  return end;
}

// Leases and works until draining; OK then.
absl::Status WorkUntilDrained(const WorkPlace& place) {
  Backoff backoff(ReconnectBackoff());
  bool is_registered = false;
  while (!place.control->is_draining()) {
    absl::Status status;
    std::optional<v1::Lease> lease;
    if (!is_registered) status = place.link->Register();
    if (status.ok()) {
      is_registered = true;
      absl::StatusOr<std::optional<v1::Lease>> answer =
          place.link->WaitForLease(place.control);
      status = answer.status();
      if (status.ok()) lease = *std::move(answer);
    }
    if (lease.has_value()) {
      RunLease(place, *lease);
    } else if (status.ok()) {
      // Idle: only so does it hear that it is drained.
      const absl::StatusOr<v1::RenewLeasesResponse> renewed =
          place.link->Renew();
      if (renewed.ok() && renewed->is_draining()) place.control->Drain();
    }
    if (status.ok()) {
      backoff.Reset();
      continue;
    }
    if (IsRefusal(status)) return status;
    LATHE_LOG(kWarning) << "server: " << status;
    // Whatever went wrong, a server that was restarted wants to know us.
    is_registered = false;
    place.control->WaitUnlessDraining(backoff.Next());
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status RunWorkerAs(const WorkerOptions& options,
                         v1::Capabilities capabilities) {
  LATHE_RETURN_IF_ERROR(CheckOptions(options));
  if (options.exits_with_parent) prctl(PR_SET_PDEATHSIG, SIGTERM);
  capabilities.set_host(HostName());
  capabilities.set_pid(getpid());
  capabilities.set_placement(options.placement.name);
  // Before any other thread starts, so that all of them have the signals
  // blocked.
  WorkerControl control(EndOf(options.placement));
  const auto identity = std::make_shared<LeaseIdentity>(NewSession());
  LATHE_ASSIGN_OR_RETURN(
      std::shared_ptr<grpc::Channel> channel,
      OpenChannel(options.server, options.credentials, identity));
  ServerLink link(std::move(channel), identity, std::move(capabilities));
  LATHE_ASSIGN_OR_RETURN(
      std::unique_ptr<BlobCache> blobs,
      BlobCache::Open(absl::StrCat(options.cache_folder, "/blobs"),
                      options.most_cache_bytes,
                      [&link](const std::string& digest, int fd) {
                        return FetchBlob(link, digest, fd);
                      }));
  EvaluatorProcess evaluator(EvaluatorOptionsOf(options));
  WorkPlace place;
  place.link = &link;
  place.control = &control;
  place.blobs = blobs.get();
  place.evaluator = &evaluator;
  LATHE_ASSIGN_OR_RETURN(const std::unique_ptr<WorkFolder> folder,
                         WorkFolder::Make(options.cache_folder));
  place.output_folder = folder->path();
  place.pinned_core = options.pinned_core;
  return WorkUntilDrained(place);
}

}  // namespace lathe

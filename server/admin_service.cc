#include "server/admin_service.h"

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/time/clock.h"
#include "base/status.h"
#include "server/errors.h"
#include "server/integrity_check.h"
#include "server/steady.h"
#include "server/unary_call.h"

namespace lathe {

using grpc::CallbackServerContext;
using grpc::ServerUnaryReactor;

ServerUnaryReactor* AdminService::ListWorkers(
    CallbackServerContext* context, const google::protobuf::Empty* request,
    v1::ListWorkersResponse* response) {
  return RunUnary(context, *parts_.gate, "Admin.ListWorkers", request,
                  [this, response] {
                    for (v1::WorkerInfo& worker : parts_.workers->List(
                             parts_.leases->CountBySession(), SteadyNow())) {
                      *response->add_workers() = std::move(worker);
                    }
                    return absl::OkStatus();
                  });
}

ServerUnaryReactor* AdminService::DrainWorker(
    CallbackServerContext* context, const v1::DrainWorkerRequest* request,
    google::protobuf::Empty*) {
  return RunUnary(
      context, *parts_.gate, "Admin.DrainWorker", request, [this, request] {
        LATHE_RETURN_IF_ERROR(
            WithReasons(parts_.store->SetDraining(request->name()),
                        {{absl::StatusCode::kNotFound, "WORKER_NOT_FOUND"}}));
        parts_.workers->Drain(request->name());
        parts_.signals->workers_changed();
        return absl::OkStatus();
      });
}

absl::Status AdminService::SetCordoned(const v1::CordonWorkerRequest& request) {
  LATHE_RETURN_IF_ERROR(WithReasons(
      parts_.store->SetCordoned(request.name(), request.is_cordoned()),
      {{absl::StatusCode::kNotFound, "WORKER_NOT_FOUND"}}));
  parts_.workers->SetCordoned(request.name(), request.is_cordoned());
  parts_.signals->workers_changed();
  return absl::OkStatus();
}

ServerUnaryReactor* AdminService::CordonWorker(
    CallbackServerContext* context, const v1::CordonWorkerRequest* request,
    google::protobuf::Empty*) {
  return RunUnary(context, *parts_.gate, "Admin.CordonWorker", request,
                  [this, request] { return SetCordoned(*request); });
}

ServerUnaryReactor* AdminService::CheckIntegrity(
    CallbackServerContext* context, const v1::CheckIntegrityRequest* request,
    v1::CheckIntegrityResponse* response) {
  return RunUnary(context, *parts_.gate, "Admin.CheckIntegrity", request,
                  [this, request, response] {
                    return Answer(CheckState(*parts_.store, *parts_.blobs,
                                             request->reads_blobs()),
                                  response);
                  });
}

ServerUnaryReactor* AdminService::CollectGarbage(
    CallbackServerContext* context, const v1::CollectGarbageRequest* request,
    v1::CollectGarbageResponse* response) {
  return RunUnary(context, *parts_.gate, "Admin.CollectGarbage", request,
                  [this, request, response] {
                    LATHE_ASSIGN_OR_RETURN(
                        const RemovedBlobs removed,
                        parts_.housekeeper->CollectGarbage(
                            absl::Now(), request->is_dry_run()));
                    response->set_blobs(removed.blobs);
                    response->set_bytes(removed.bytes);
                    return absl::OkStatus();
                  });
}

ServerUnaryReactor* AdminService::Backup(CallbackServerContext* context,
                                         const v1::BackupRequest* request,
                                         v1::BackupResponse* response) {
  return RunUnary(
      context, *parts_.gate, "Admin.Backup", request,
      [this, request, response] {
        FieldChecks checks;
        checks.Require(!request->path().empty() && request->path()[0] == '/',
                       "path", "not an absolute path on the server");
        LATHE_RETURN_IF_ERROR(checks.ToStatus());
        const absl::StatusOr<int64_t> bytes =
            parts_.store->Backup(request->path());
        if (!bytes.ok()) {
          return WithReasons(
              bytes.status(),
              {{absl::StatusCode::kAlreadyExists, "FILE_EXISTS"},
               {absl::StatusCode::kNotFound, "FOLDER_NOT_FOUND"},
               {absl::StatusCode::kResourceExhausted, "STORAGE_FULL"}});
        }
        response->set_bytes(*bytes);
        return absl::OkStatus();
      });
}

ServerUnaryReactor* AdminService::GetServerInfo(
    CallbackServerContext* context, const google::protobuf::Empty* request,
    v1::ServerInfo* response) {
  return RunUnary(
      context, *parts_.gate, "Admin.GetServerInfo", request,
      [this, response](const Caller& caller) {
        LATHE_ASSIGN_OR_RETURN(const JobTotals totals,
                               parts_.store->CountJobs());
        int64_t jobs = 0;
        for (const auto& [state, count] : totals.jobs) jobs += count;
        response->set_version(LATHE_VERSION);
        response->set_schema_version(parts_.store->schema_version());
        response->set_jobs(jobs);
        response->set_workers(parts_.workers->CountActive(SteadyNow()));
        response->set_uptime_seconds(
            absl::ToDoubleSeconds(SteadyNow() - started_));
        response->set_is_encrypted(parts_.is_encrypted);
        response->set_caller(caller.name);
        response->set_role(std::string(RoleName(caller.role)));
        return absl::OkStatus();
      });
}

}  // namespace lathe

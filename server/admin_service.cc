#include "server/admin_service.h"

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "base/status.h"
#include "server/errors.h"
#include "server/steady.h"
#include "server/unary_call.h"

namespace lathe {

using grpc::CallbackServerContext;
using grpc::ServerUnaryReactor;

ServerUnaryReactor* AdminService::ListWorkers(
    CallbackServerContext* context, const google::protobuf::Empty*,
    v1::ListWorkersResponse* response) {
  return RunUnary(context, *parts_.pool, [this, response] {
    for (v1::WorkerInfo& worker :
         parts_.workers->List(parts_.leases->CountBySession(), SteadyNow())) {
      *response->add_workers() = std::move(worker);
    }
    return absl::OkStatus();
  });
}

ServerUnaryReactor* AdminService::DrainWorker(
    CallbackServerContext* context, const v1::DrainWorkerRequest* request,
    google::protobuf::Empty*) {
  return RunUnary(context, *parts_.pool, [this, request] {
    LATHE_RETURN_IF_ERROR(parts_.workers->Drain(request->name()));
    parts_.signals->workers_changed();
    return absl::OkStatus();
  });
}

ServerUnaryReactor* AdminService::Backup(CallbackServerContext* context,
                                         const v1::BackupRequest* request,
                                         v1::BackupResponse* response) {
  return RunUnary(context, *parts_.pool, [this, request, response] {
    FieldChecks checks;
    checks.Require(!request->path().empty() && request->path()[0] == '/',
                   "path", "not an absolute path on the server");
    LATHE_RETURN_IF_ERROR(checks.ToStatus());
    const absl::StatusOr<int64_t> bytes = parts_.store->Backup(request->path());
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

ServerUnaryReactor* AdminService::GetServerInfo(CallbackServerContext* context,
                                                const google::protobuf::Empty*,
                                                v1::ServerInfo* response) {
  return RunUnary(context, *parts_.pool, [this, response] {
    LATHE_ASSIGN_OR_RETURN(const int64_t jobs, CountJobs());
    response->set_version(LATHE_VERSION);
    response->set_schema_version(parts_.store->schema_version());
    response->set_jobs(jobs);
    response->set_workers(parts_.workers->CountActive(SteadyNow()));
    return absl::OkStatus();
  });
}

absl::StatusOr<int64_t> AdminService::CountJobs() {
  int64_t jobs = 0;
  std::string page_token;
  do {
    LATHE_ASSIGN_OR_RETURN(
        const Page<v1::Job> page,
        parts_.store->ListJobs(/*page_size=*/1000, page_token));
    jobs += static_cast<int64_t>(page.rows.size());
    page_token = page.next_page_token;
  } while (!page_token.empty());
  return jobs;
}

}  // namespace lathe

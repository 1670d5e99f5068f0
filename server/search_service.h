// The users' service.
#ifndef LATHE_SERVER_SEARCH_SERVICE_H_
#define LATHE_SERVER_SEARCH_SERVICE_H_

#include <grpcpp/support/server_callback.h>

#include "proto/search.grpc.pb.h"
#include "server/budget_answers.h"
#include "server/call_gate.h"
#include "server/frontier_tracker.h"
#include "server/job_control.h"
#include "server/lease_table.h"
#include "server/quotas.h"
#include "server/search_loops.h"
#include "server/signals.h"
#include "server/watch_hub.h"
#include "server/worker_registry.h"
#include "storage/blob_store.h"
#include "storage/store.h"

namespace lathe {

// What the service works with; all must outlive it.
struct SearchServiceParts {
  Store* store = nullptr;
  BlobStore* blobs = nullptr;
  JobControl* control = nullptr;
  SearchLoops* loops = nullptr;
  FrontierTracker* frontiers = nullptr;
  WorkerRegistry* workers = nullptr;
  LeaseTable* leases = nullptr;
  WatchHub* watchers = nullptr;
  CallGate* gate = nullptr;
  const Signals* signals = nullptr;
  Quotas quotas;
};

// See proto/search.proto for what each call promises. Thread-safe.
class SearchService final : public v1::Search::CallbackService {
 public:
  explicit SearchService(const SearchServiceParts& parts)
      : parts_(parts), answers_(parts.store) {}

  grpc::ServerUnaryReactor* CreateJob(grpc::CallbackServerContext* context,
                                      const v1::CreateJobRequest* request,
                                      v1::Job* response) override;
  grpc::ServerUnaryReactor* GetJob(grpc::CallbackServerContext* context,
                                   const v1::GetJobRequest* request,
                                   v1::Job* response) override;
  grpc::ServerUnaryReactor* ListJobs(grpc::CallbackServerContext* context,
                                     const v1::ListJobsRequest* request,
                                     v1::ListJobsResponse* response) override;
  grpc::ServerUnaryReactor* PauseJob(grpc::CallbackServerContext* context,
                                     const v1::GetJobRequest* request,
                                     v1::Job* response) override;
  grpc::ServerUnaryReactor* ResumeJob(grpc::CallbackServerContext* context,
                                      const v1::GetJobRequest* request,
                                      v1::Job* response) override;
  grpc::ServerUnaryReactor* CancelJob(grpc::CallbackServerContext* context,
                                      const v1::GetJobRequest* request,
                                      v1::Job* response) override;
  grpc::ServerUnaryReactor* DeleteJob(
      grpc::CallbackServerContext* context, const v1::GetJobRequest* request,
      google::protobuf::Empty* response) override;
  grpc::ServerUnaryReactor* ExplainJob(grpc::CallbackServerContext* context,
                                       const v1::GetJobRequest* request,
                                       v1::JobExplanation* response) override;
  grpc::ServerWriteReactor<v1::Event>* WatchJob(
      grpc::CallbackServerContext* context,
      const v1::WatchJobRequest* request) override;
  grpc::ServerUnaryReactor* ListTrials(
      grpc::CallbackServerContext* context,
      const v1::ListTrialsRequest* request,
      v1::ListTrialsResponse* response) override;
  grpc::ServerUnaryReactor* GetTrial(grpc::CallbackServerContext* context,
                                     const v1::GetTrialRequest* request,
                                     v1::Trial* response) override;
  grpc::ServerUnaryReactor* CreateTrial(grpc::CallbackServerContext* context,
                                        const v1::CreateTrialRequest* request,
                                        v1::Trial* response) override;
  grpc::ServerUnaryReactor* GetFrontier(grpc::CallbackServerContext* context,
                                        const v1::GetFrontierRequest* request,
                                        v1::Frontier* response) override;
  grpc::ServerUnaryReactor* GetBestConfiguration(
      grpc::CallbackServerContext* context,
      const v1::GetBestConfigurationRequest* request,
      v1::BestConfiguration* response) override;
  grpc::ServerUnaryReactor* AnswerBudget(grpc::CallbackServerContext* context,
                                         const v1::AnswerBudgetRequest* request,
                                         v1::Proposal* response) override;

 private:
  const SearchServiceParts parts_;
  BudgetAnswers answers_;
};

}  // namespace lathe

#endif  // LATHE_SERVER_SEARCH_SERVICE_H_

#include "server/search_service.h"

#include <optional>
#include <string>
#include <utility>

#include "base/status.h"
#include "server/errors.h"
#include "server/job_explanation.h"
#include "server/job_requests.h"
#include "server/results.h"
#include "server/steady.h"
#include "server/unary_call.h"
#include "server/watch_reactor.h"

namespace lathe {

using grpc::CallbackServerContext;
using grpc::ServerUnaryReactor;

ServerUnaryReactor* SearchService::CreateJob(
    CallbackServerContext* context, const v1::CreateJobRequest* request,
    v1::Job* response) {
  return RunUnary(
      context, *parts_.gate, "Search.CreateJob", request,
      [this, request, response](const Caller& caller) {
        const JobCreator creator{caller.name, parts_.quotas.most_active_jobs};
        LATHE_RETURN_IF_ERROR(Answer(
            CreateJobFrom(*request, creator, *parts_.store, *parts_.blobs),
            response));
        if (!request->validate_only()) parts_.loops->Start(response->name());
        return absl::OkStatus();
      });
}

ServerUnaryReactor* SearchService::GetJob(CallbackServerContext* context,
                                          const v1::GetJobRequest* request,
                                          v1::Job* response) {
  return RunUnary(context, *parts_.gate, "Search.GetJob", request,
                  [this, request, response] {
                    return Answer(FindJob(*parts_.store, request->name()),
                                  response);
                  });
}

ServerUnaryReactor* SearchService::ListJobs(CallbackServerContext* context,
                                            const v1::ListJobsRequest* request,
                                            v1::ListJobsResponse* response) {
  return RunUnary(context, *parts_.gate, "Search.ListJobs", request,
                  [this, request, response] {
                    return Answer(ListJobsPage(*request, *parts_.store),
                                  response);
                  });
}

ServerUnaryReactor* SearchService::PauseJob(CallbackServerContext* context,
                                            const v1::GetJobRequest* request,
                                            v1::Job* response) {
  return RunUnary(context, *parts_.gate, "Search.PauseJob", request,
                  [this, request, response] {
                    return Answer(parts_.control->Pause(request->name()),
                                  response);
                  });
}

ServerUnaryReactor* SearchService::ResumeJob(CallbackServerContext* context,
                                             const v1::GetJobRequest* request,
                                             v1::Job* response) {
  return RunUnary(context, *parts_.gate, "Search.ResumeJob", request,
                  [this, request, response] {
                    return Answer(parts_.control->Resume(request->name()),
                                  response);
                  });
}

ServerUnaryReactor* SearchService::CancelJob(CallbackServerContext* context,
                                             const v1::GetJobRequest* request,
                                             v1::Job* response) {
  return RunUnary(context, *parts_.gate, "Search.CancelJob", request,
                  [this, request, response] {
                    return Answer(parts_.control->Cancel(request->name()),
                                  response);
                  });
}

ServerUnaryReactor* SearchService::DeleteJob(CallbackServerContext* context,
                                             const v1::GetJobRequest* request,
                                             google::protobuf::Empty*) {
  return RunUnary(
      context, *parts_.gate, "Search.DeleteJob", request, [this, request] {
        LATHE_RETURN_IF_ERROR(WithReasons(
            parts_.store->DeleteJob(request->name()),
            {{absl::StatusCode::kNotFound, "JOB_NOT_FOUND"},
             {absl::StatusCode::kFailedPrecondition, "JOB_NOT_ENDED"}}));
        parts_.frontiers->Forget(request->name());
        parts_.signals->job_changed(request->name());
        return absl::OkStatus();
      });
}

ServerUnaryReactor* SearchService::ExplainJob(CallbackServerContext* context,
                                              const v1::GetJobRequest* request,
                                              v1::JobExplanation* response) {
  return RunUnary(
      context, *parts_.gate, "Search.ExplainJob", request,
      [this, request, response]() -> absl::Status {
        LATHE_ASSIGN_OR_RETURN(
            JobCircumstances circumstances,
            ReadCircumstances(request->name(), *parts_.store));
        circumstances.now = SteadyNow();
        circumstances.workers = parts_.workers->List(
            parts_.leases->CountBySession(), circumstances.now);
        circumstances.loop = parts_.loops->StatusOf(request->name());
        circumstances.stages = parts_.leases->CountStages(request->name());
        circumstances.most_running_trials = parts_.quotas.most_running_trials;
        *response = ExplainCircumstances(circumstances);
        return absl::OkStatus();
      });
}

grpc::ServerWriteReactor<v1::Event>* SearchService::WatchJob(
    CallbackServerContext* context, const v1::WatchJobRequest* request) {
  WatchReactor::Parts parts;
  parts.store = parts_.store;
  parts.hub = parts_.watchers;
  parts.gate = parts_.gate;
  // Deletes itself.
  return new WatchReactor(context, *request, parts);
}

ServerUnaryReactor* SearchService::ListTrials(
    CallbackServerContext* context, const v1::ListTrialsRequest* request,
    v1::ListTrialsResponse* response) {
  return RunUnary(context, *parts_.gate, "Search.ListTrials", request,
                  [this, request, response] {
                    return Answer(ListTrialsPage(*request, *parts_.store),
                                  response);
                  });
}

ServerUnaryReactor* SearchService::GetTrial(CallbackServerContext* context,
                                            const v1::GetTrialRequest* request,
                                            v1::Trial* response) {
  return RunUnary(
      context, *parts_.gate, "Search.GetTrial", request,
      [this, request, response] {
        LATHE_RETURN_IF_ERROR(WithReasons(
            Answer(parts_.store->GetTrial(request->name()), response),
            {{absl::StatusCode::kNotFound, "TRIAL_NOT_FOUND"}}));
        if (response->state() != v1::TRIAL_LEASED) return absl::OkStatus();
        std::optional<v1::TrialProgress> progress =
            parts_.leases->ProgressOf(request->name());
        if (progress.has_value()) {
          *response->mutable_progress() = *std::move(progress);
        }
        return absl::OkStatus();
      });
}

ServerUnaryReactor* SearchService::CreateTrial(
    CallbackServerContext* context, const v1::CreateTrialRequest* request,
    v1::Trial* response) {
  return RunUnary(
      context, *parts_.gate, "Search.CreateTrial", request,
      [this, request, response] {
        LATHE_RETURN_IF_ERROR(
            Answer(CreateTrialFrom(*request, *parts_.store, *parts_.control),
                   response));
        parts_.signals->trials_pending();
        return absl::OkStatus();
      });
}

ServerUnaryReactor* SearchService::GetFrontier(
    CallbackServerContext* context, const v1::GetFrontierRequest* request,
    v1::Frontier* response) {
  return RunUnary(
      context, *parts_.gate, "Search.GetFrontier", request,
      [this, request, response] {
        return Answer(ReadFrontier(*request, *parts_.store, *parts_.frontiers),
                      response);
      });
}

ServerUnaryReactor* SearchService::GetBestConfiguration(
    CallbackServerContext* context,
    const v1::GetBestConfigurationRequest* request,
    v1::BestConfiguration* response) {
  return RunUnary(context, *parts_.gate, "Search.GetBestConfiguration", request,
                  [this, request, response] {
                    return Answer(FindBestConfiguration(*request, *parts_.store,
                                                        *parts_.frontiers),
                                  response);
                  });
}

ServerUnaryReactor* SearchService::AnswerBudget(
    CallbackServerContext* context, const v1::AnswerBudgetRequest* request,
    v1::Proposal* response) {
  return RunUnary(context, *parts_.gate, "Search.AnswerBudget", request,
                  [this, request, response] {
                    return Answer(answers_.Answer(*request), response);
                  });
}

}  // namespace lathe

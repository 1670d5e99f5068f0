#include "client/search_client.h"

#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "client/unary_call.h"

namespace lathe {
namespace {

// Of a thousand layers a trial has some 100 kB; a page stays below the limit
// of an answer.
constexpr int kTrialsPerPage = 250;
constexpr int kJobsPerPage = 100;

// A copy of a large database takes long.
constexpr absl::Duration kBackupTimeout = absl::Minutes(30);
// An agent that has thought for long is replayed for as long.
constexpr absl::Duration kReplayTimeout = absl::Minutes(10);

v1::GetJobRequest Named(absl::string_view name) {
  v1::GetJobRequest request;
  request.set_name(std::string(name));
  return request;
}

}  // namespace

std::string JobName(absl::string_view text) {
  return absl::StartsWith(text, "jobs/") ? std::string(text)
                                         : absl::StrCat("jobs/", text);
}

SearchClient::SearchClient(const std::shared_ptr<grpc::Channel>& channel,
                           const RetryOptions& options)
    : stub_(v1::Search::NewStub(channel)), options_(options) {}

absl::StatusOr<v1::Job> SearchClient::CreateJob(
    const v1::JobSpec& spec, absl::string_view request_id) const {
  v1::CreateJobRequest request;
  *request.mutable_spec() = spec;
  request.set_request_id(std::string(request_id));
  return CallUnary(*stub_, &v1::Search::Stub::CreateJob, request, options_);
}

absl::StatusOr<v1::Job> SearchClient::GetJob(absl::string_view name) const {
  return CallUnary(*stub_, &v1::Search::Stub::GetJob, Named(name), options_);
}

absl::StatusOr<std::vector<v1::Job>> SearchClient::ListJobs() const {
  std::vector<v1::Job> jobs;
  v1::ListJobsRequest request;
  request.set_page_size(kJobsPerPage);
  do {
    LATHE_ASSIGN_OR_RETURN(
        const v1::ListJobsResponse page,
        CallUnary(*stub_, &v1::Search::Stub::ListJobs, request, options_));
    jobs.insert(jobs.end(), page.jobs().begin(), page.jobs().end());
    request.set_page_token(page.next_page_token());
  } while (!request.page_token().empty());
  return jobs;
}

absl::StatusOr<v1::Job> SearchClient::PauseJob(absl::string_view name) const {
  return CallUnary(*stub_, &v1::Search::Stub::PauseJob, Named(name), options_);
}

absl::StatusOr<v1::Job> SearchClient::ResumeJob(absl::string_view name) const {
  return CallUnary(*stub_, &v1::Search::Stub::ResumeJob, Named(name), options_);
}

absl::StatusOr<v1::Job> SearchClient::CancelJob(absl::string_view name) const {
  return CallUnary(*stub_, &v1::Search::Stub::CancelJob, Named(name), options_);
}

absl::Status SearchClient::DeleteJob(absl::string_view name) const {
  return CallUnary(*stub_, &v1::Search::Stub::DeleteJob, Named(name), options_)
      .status();
}

absl::StatusOr<v1::JobExplanation> SearchClient::ExplainJob(
    absl::string_view name) const {
  return CallUnary(*stub_, &v1::Search::Stub::ExplainJob, Named(name),
                   options_);
}

absl::StatusOr<std::vector<v1::Trial>> SearchClient::ListTrials(
    absl::string_view job) const {
  std::vector<v1::Trial> trials;
  v1::ListTrialsRequest request;
  request.set_parent(std::string(job));
  request.set_page_size(kTrialsPerPage);
  do {
    LATHE_ASSIGN_OR_RETURN(
        const v1::ListTrialsResponse page,
        CallUnary(*stub_, &v1::Search::Stub::ListTrials, request, options_));
    trials.insert(trials.end(), page.trials().begin(), page.trials().end());
    request.set_page_token(page.next_page_token());
  } while (!request.page_token().empty());
  return trials;
}

absl::StatusOr<v1::Trial> SearchClient::GetTrial(absl::string_view job,
                                                 int64_t number) const {
  v1::GetTrialRequest request;
  request.set_name(absl::StrCat(job, "/trials/", number));
  return CallUnary(*stub_, &v1::Search::Stub::GetTrial, request, options_);
}

absl::StatusOr<v1::Trial> SearchClient::CreateTrial(
    absl::string_view job, const v1::CompressionPlan& plan) const {
  v1::CreateTrialRequest request;
  request.set_parent(std::string(job));
  *request.mutable_plan() = plan;
  return CallUnary(*stub_, &v1::Search::Stub::CreateTrial, request, options_);
}

absl::StatusOr<v1::Proposal> SearchClient::AnswerBudget(
    absl::string_view job, const v1::Budget& budget) const {
  v1::AnswerBudgetRequest request;
  request.set_name(std::string(job));
  *request.mutable_budget() = budget;
  RetryOptions patient = options_;
  patient.call_timeout = kReplayTimeout;
  return CallUnary(*stub_, &v1::Search::Stub::AnswerBudget, request, patient);
}

absl::StatusOr<v1::Frontier> SearchClient::GetFrontier(
    absl::string_view job) const {
  v1::GetFrontierRequest request;
  request.set_name(std::string(job));
  return CallUnary(*stub_, &v1::Search::Stub::GetFrontier, request, options_);
}

absl::StatusOr<v1::BestConfiguration> SearchClient::GetBestConfiguration(
    const v1::GetBestConfigurationRequest& request) const {
  return CallUnary(*stub_, &v1::Search::Stub::GetBestConfiguration, request,
                   options_);
}

AdminClient::AdminClient(const std::shared_ptr<grpc::Channel>& channel,
                         const RetryOptions& options)
    : stub_(v1::Admin::NewStub(channel)), options_(options) {}

absl::StatusOr<std::vector<v1::WorkerInfo>> AdminClient::ListWorkers() const {
  LATHE_ASSIGN_OR_RETURN(const v1::ListWorkersResponse response,
                         CallUnary(*stub_, &v1::Admin::Stub::ListWorkers,
                                   google::protobuf::Empty(), options_));
  return std::vector<v1::WorkerInfo>(response.workers().begin(),
                                     response.workers().end());
}

absl::Status AdminClient::DrainWorker(absl::string_view name) const {
  v1::DrainWorkerRequest request;
  request.set_name(std::string(name));
  return CallUnary(*stub_, &v1::Admin::Stub::DrainWorker, request, options_)
      .status();
}

absl::Status AdminClient::CordonWorker(absl::string_view name,
                                       bool is_cordoned) const {
  v1::CordonWorkerRequest request;
  request.set_name(std::string(name));
  request.set_is_cordoned(is_cordoned);
  return CallUnary(*stub_, &v1::Admin::Stub::CordonWorker, request, options_)
      .status();
}

absl::StatusOr<v1::CheckIntegrityResponse> AdminClient::CheckIntegrity(
    bool reads_blobs) const {
  v1::CheckIntegrityRequest request;
  request.set_reads_blobs(reads_blobs);
  RetryOptions patient = options_;
  patient.call_timeout = kBackupTimeout;
  return CallUnary(*stub_, &v1::Admin::Stub::CheckIntegrity, request, patient);
}

absl::StatusOr<v1::CollectGarbageResponse> AdminClient::CollectGarbage(
    bool is_dry_run) const {
  v1::CollectGarbageRequest request;
  request.set_is_dry_run(is_dry_run);
  RetryOptions patient = options_;
  patient.call_timeout = kBackupTimeout;
  return CallUnary(*stub_, &v1::Admin::Stub::CollectGarbage, request, patient);
}

absl::StatusOr<int64_t> AdminClient::Backup(absl::string_view path) const {
  v1::BackupRequest request;
  request.set_path(std::string(path));
  RetryOptions once = options_;
  once.call_timeout = kBackupTimeout;
  once.give_up_after = absl::ZeroDuration();
  LATHE_ASSIGN_OR_RETURN(
      const v1::BackupResponse response,
      CallUnary(*stub_, &v1::Admin::Stub::Backup, request, once));
  return response.bytes();
}

absl::StatusOr<v1::ServerInfo> AdminClient::GetServerInfo() const {
  return CallUnary(*stub_, &v1::Admin::Stub::GetServerInfo,
                   google::protobuf::Empty(), options_);
}

}  // namespace lathe

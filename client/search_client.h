// The users' service and the administrators', as typed calls.
#ifndef LATHE_CLIENT_SEARCH_CLIENT_H_
#define LATHE_CLIENT_SEARCH_CLIENT_H_

#include <grpcpp/channel.h>

#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "client/retry.h"
#include "proto/artifact.grpc.pb.h"
#include "proto/search.grpc.pb.h"

namespace lathe {

// "jobs/7" of "jobs/7" or "7".
std::string JobName(absl::string_view text);

// Calls of the Search service. Every call has a deadline and is repeated while
// the server is unavailable; errors are the server's (see search.proto), with
// their reasons (see ErrorReason). Jobs are named "jobs/{job}". Thread-safe.
class SearchClient {
 public:
  explicit SearchClient(const std::shared_ptr<grpc::Channel>& channel,
                        const RetryOptions& options = {});

  absl::StatusOr<v1::Job> CreateJob(const v1::JobSpec& spec,
                                    absl::string_view request_id) const;
  absl::StatusOr<v1::Job> GetJob(absl::string_view name) const;
  // All of them, newest first.
  absl::StatusOr<std::vector<v1::Job>> ListJobs() const;
  absl::StatusOr<v1::Job> PauseJob(absl::string_view name) const;
  absl::StatusOr<v1::Job> ResumeJob(absl::string_view name) const;
  absl::StatusOr<v1::Job> CancelJob(absl::string_view name) const;
  absl::Status DeleteJob(absl::string_view name) const;
  absl::StatusOr<v1::JobExplanation> ExplainJob(absl::string_view name) const;

  // All of a job's, by number.
  absl::StatusOr<std::vector<v1::Trial>> ListTrials(
      absl::string_view job) const;
  absl::StatusOr<v1::Trial> GetTrial(absl::string_view job,
                                     int64_t number) const;
  absl::StatusOr<v1::Trial> CreateTrial(absl::string_view job,
                                        const v1::CompressionPlan& plan) const;
  absl::StatusOr<v1::Proposal> AnswerBudget(absl::string_view job,
                                            const v1::Budget& budget) const;
  absl::StatusOr<v1::Frontier> GetFrontier(absl::string_view job) const;
  absl::StatusOr<v1::BestConfiguration> GetBestConfiguration(
      const v1::GetBestConfigurationRequest& request) const;

 private:
  const std::unique_ptr<v1::Search::Stub> stub_;
  const RetryOptions options_;
};

// Calls of the Admin service; otherwise as SearchClient. Thread-safe.
class AdminClient {
 public:
  explicit AdminClient(const std::shared_ptr<grpc::Channel>& channel,
                       const RetryOptions& options = {});

  absl::StatusOr<std::vector<v1::WorkerInfo>> ListWorkers() const;
  // `name`: "workers/{worker}".
  absl::Status DrainWorker(absl::string_view name) const;
  absl::Status CordonWorker(absl::string_view name, bool is_cordoned) const;
  absl::StatusOr<v1::CheckIntegrityResponse> CheckIntegrity(
      bool reads_blobs) const;
  absl::StatusOr<v1::CollectGarbageResponse> CollectGarbage(
      bool is_dry_run) const;
  // Returns the bytes written to `path`, a file on the server. Not repeated:
  // a second attempt would find the first one's file.
  absl::StatusOr<int64_t> Backup(absl::string_view path) const;
  absl::StatusOr<v1::ServerInfo> GetServerInfo() const;

 private:
  const std::unique_ptr<v1::Admin::Stub> stub_;
  const RetryOptions options_;
};

}  // namespace lathe

#endif  // LATHE_CLIENT_SEARCH_CLIENT_H_

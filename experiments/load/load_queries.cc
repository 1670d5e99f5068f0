#include "experiments/load/load_queries.h"

#include <grpcpp/client_context.h>

#include <cstdint>
#include <nlohmann/json.hpp>

#include "absl/functional/function_ref.h"
#include "absl/time/clock.h"
#include "base/status.h"
#include "client/status.h"
#include "experiments/load/latency_sample.h"
#include "proto/search.grpc.pb.h"

namespace lathe {
namespace {

constexpr int kPageSize = 100;

absl::Status Timed(LatencySample& sample,
                   absl::FunctionRef<grpc::Status(grpc::ClientContext*)> call) {
  grpc::ClientContext context;
  const absl::Time start = absl::Now();
  const grpc::Status status = call(&context);
  sample.Add(absl::Now() - start);
  return FromGrpc(status);
}

absl::StatusOr<int64_t> ListAll(v1::Search::Stub& stub, const std::string& job,
                                LatencySample& sample) {
  v1::ListTrialsRequest request;
  request.set_parent(job);
  request.set_page_size(kPageSize);
  int64_t trials = 0;
  do {
    v1::ListTrialsResponse page;
    LATHE_RETURN_IF_ERROR(Timed(sample, [&](grpc::ClientContext* context) {
      return stub.ListTrials(context, request, &page);
    }));
    trials += page.trials_size();
    request.set_page_token(page.next_page_token());
  } while (!request.page_token().empty());
  return trials;
}

}  // namespace

absl::StatusOr<nlohmann::json> MeasureQueries(
    const std::shared_ptr<grpc::Channel>& channel, const std::string& job,
    int repeats) {
  const auto stub = v1::Search::NewStub(channel);
  LatencySample pages;
  LatencySample frontiers;
  LatencySample bests;
  LatencySample jobs;
  LATHE_ASSIGN_OR_RETURN(const int64_t trials, ListAll(*stub, job, pages));
  for (int i = 0; i < repeats; ++i) {
    v1::GetFrontierRequest frontier;
    frontier.set_name(job);
    v1::Frontier frontier_response;
    LATHE_RETURN_IF_ERROR(Timed(frontiers, [&](grpc::ClientContext* context) {
      return stub->GetFrontier(context, frontier, &frontier_response);
    }));
    v1::GetBestConfigurationRequest best;
    best.set_name(job);
    best.set_max_latency_ratio(0.5);
    v1::BestConfiguration best_response;
    LATHE_RETURN_IF_ERROR(Timed(bests, [&](grpc::ClientContext* context) {
      return stub->GetBestConfiguration(context, best, &best_response);
    }));
    v1::GetJobRequest get;
    get.set_name(job);
    v1::Job job_response;
    LATHE_RETURN_IF_ERROR(Timed(jobs, [&](grpc::ClientContext* context) {
      return stub->GetJob(context, get, &job_response);
    }));
  }
  return nlohmann::json{{"trials", trials},
                        {"pages", pages.ToJson()},
                        {"frontier", frontiers.ToJson()},
                        {"best", bests.ToJson()},
                        {"job", jobs.ToJson()}};
}

}  // namespace lathe

#include "server/metrics.h"

#include <utility>

#include "absl/strings/str_cat.h"

namespace lathe {
namespace {

using Buckets = prometheus::Histogram::BucketBoundaries;

// From a call that touches memory only to a long poll.
Buckets CallBuckets() {
  return {0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1,
          0.2,    0.5,   1,     2,     5,    10,   30};
}
Buckets LongBuckets() {
  return {0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100, 300, 1000, 3000};
}
Buckets WriteBuckets() { return {1, 2, 4, 8, 16, 32, 64, 128, 256}; }

prometheus::Family<prometheus::Counter>& Counters(
    prometheus::Registry& registry, const std::string& name,
    const std::string& help) {
  return prometheus::BuildCounter().Name(name).Help(help).Register(registry);
}

prometheus::Family<prometheus::Histogram>& Histograms(
    prometheus::Registry& registry, const std::string& name,
    const std::string& help) {
  return prometheus::BuildHistogram().Name(name).Help(help).Register(registry);
}

SeriesByLabel<prometheus::Counter>::Make Labelled(
    prometheus::Family<prometheus::Counter>& family, std::string label) {
  return [&family, label = std::move(label)](
             const std::string& value) -> prometheus::Counter& {
    return family.Add({{label, value}});
  };
}

SeriesByLabel<prometheus::Histogram>::Make Labelled(
    prometheus::Family<prometheus::Histogram>& family, std::string label,
    Buckets buckets) {
  return [&family, label = std::move(label), buckets = std::move(buckets)](
             const std::string& value) -> prometheus::Histogram& {
    return family.Add({{label, value}}, buckets);
  };
}

}  // namespace

Metrics::Metrics()
    : registry_(std::make_shared<prometheus::Registry>()),
      granted_leases_(
          Counters(*registry_, "lathe_leases_granted_total", "Leases granted")
              .Add({})),
      ended_leases_(Counters(*registry_, "lathe_leases_ended_total",
                             "Leases that ended without a result, by why")),
      outcomes_(Labelled(Counters(*registry_, "lathe_outcomes_total",
                                  "Outcomes of evaluations, by kind"),
                         "kind")),
      evaluation_seconds_(
          Histograms(*registry_, "lathe_evaluation_seconds",
                     "Time of measured evaluations on their workers")
              .Add({}, LongBuckets())),
      cordoned_workers_(Counters(*registry_, "lathe_workers_cordoned_total",
                                 "Workers that were cordoned")
                            .Add({})),
      search_errors_(
          Counters(*registry_, "lathe_search_errors_total",
                   "Steps of searches that failed and were tried again")
              .Add({})),
      thought_seconds_(Labelled(Histograms(*registry_, "lathe_agent_seconds",
                                           "Time of agents' thoughts, by kind"),
                                "thought", LongBuckets())),
      commit_seconds_(Histograms(*registry_, "lathe_database_commit_seconds",
                                 "Time of group commits, with their writes")
                          .Add({}, CallBuckets())),
      commit_writes_(Histograms(*registry_, "lathe_database_commit_writes",
                                "Writes in one group commit")
                         .Add({}, WriteBuckets())),
      call_seconds_(
          Labelled(Histograms(*registry_, "lathe_call_seconds",
                              "Time of calls, by method; LeaseTrials and "
                              "WatchJob wait for news"),
                   "method", CallBuckets())),
      failed_calls_(Counters(*registry_, "lathe_calls_failed_total",
                             "Calls that failed, by method and code")) {}

void Metrics::CountLeases(int granted) { granted_leases_.Increment(granted); }

void Metrics::CountEndedLeases(absl::string_view why, int leases) {
  ended_leases_.Add({{"why", std::string(why)}}).Increment(leases);
}

void Metrics::CountOutcome(const v1::Outcome& outcome) {
  outcomes_.Of(v1::OutcomeKind_Name(outcome.kind())).Increment();
  if (outcome.has_measurement()) {
    evaluation_seconds_.Observe(outcome.measurement().evaluation_seconds());
  }
}

void Metrics::ObserveThought(absl::string_view thought,
                             absl::Duration duration) {
  thought_seconds_.Of(thought).Observe(absl::ToDoubleSeconds(duration));
}

void Metrics::ObserveCommit(int writes, absl::Duration duration) {
  commit_seconds_.Observe(absl::ToDoubleSeconds(duration));
  commit_writes_.Observe(writes);
}

void Metrics::ObserveCall(absl::string_view method, int code,
                          absl::Duration duration) {
  call_seconds_.Of(method).Observe(absl::ToDoubleSeconds(duration));
  if (code == 0) return;
  failed_calls_
      .Add({{"method", std::string(method)}, {"code", absl::StrCat(code)}})
      .Increment();
}

}  // namespace lathe

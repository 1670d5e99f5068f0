// Fills a new store with one of everything. The dump of its database
//
//   sqlite3 FOLDER/lathe.db .dump
//
// preceded by the PRAGMAs application_id and user_version is the fixture
// schema_<version>.sql, made once when a schema is released and never changed.
#include <cstdio>
#include <vector>

#include "storage/sqlite_store.h"
#include "storage/testing/store_fixture.h"

namespace lathe {
namespace {

absl::Status Fill(Store& store) {
  const absl::Time now = absl::FromUnixSeconds(1000);
  const std::string job =
      store.CreateJob(TestSpec(), "request", now).value().name();
  const std::vector<v1::Proposal> proposals = {TestProposal(1), TestProposal(2),
                                               TestProposal(3)};
  store.AddTrials(job, proposals, now).value();
  Completion completion = Measured(
      store.GrantLeases("session", TestProfile(), 1, now).value()[0].fence,
      0.75);
  completion.outcome.mutable_baseline()->set_activation_stats_digest("stats");
  completion.artifact_digest = "artifact";
  const v1::Trial trial = store.CompleteAttempt(completion, now).value().trial;
  store.GrantLeases("session", TestProfile(), 1, now).value();
  Learned learned;
  learned.trial_name = trial.name();
  learned.learn_sequence = 1;
  learned.reward.emplace().set_value(0.5);
  store.RecordWorker("session", {}, now).value();
  for (const absl::Status& status : {store.RecordLearned(job, {learned}, {0}),
                                     store.SaveAgentState(job, 1, "state")}) {
    if (!status.ok()) return status;
  }
  return absl::OkStatus();
}

}  // namespace
}  // namespace lathe

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: %s FOLDER\n", argv[0]);
    return 2;
  }
  auto store = lathe::OpenStore({argv[1]});
  const absl::Status status =
      store.ok() ? lathe::Fill(**store) : store.status();
  if (status.ok()) return 0;
  std::fprintf(stderr, "%s\n", status.ToString().c_str());
  return 1;
}

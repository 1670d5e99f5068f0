// Durable writes per second: group commit against the number of callers.
#include <stdlib.h>

#include <filesystem>
#include <string>
#include <vector>

#include "benchmark/benchmark.h"
#include "storage/sqlite_store.h"

namespace lathe {
namespace {

std::string* folder = nullptr;
Store* store = nullptr;
std::string* job = nullptr;

void SetUp(const benchmark::State&) {
  char name[] = "store_bench.XXXXXX";
  folder = new std::string(mkdtemp(name));
  store = OpenStore({*folder}).value().release();
  job = new std::string(
      store->CreateJob({}, "", absl::UnixEpoch()).value().name());
}

void TearDown(const benchmark::State&) {
  delete store;
  std::filesystem::remove_all(*folder);
  delete folder;
  delete job;
}

// One iteration: propose, lease and complete one trial, three transactions.
void BM_ProposeLeaseComplete(benchmark::State& state) {
  const std::vector<v1::Proposal> proposals(1);
  Completion completion;
  completion.state = v1::TRIAL_MEASURED;
  completion.outcome.set_kind(v1::MEASURED);
  completion.outcome.mutable_measurement()->set_accuracy(0.5);
  while (state.KeepRunning()) {
    store->AddTrials(*job, proposals, absl::UnixEpoch()).value();
    const std::vector<GrantedLease> leases =
        store->GrantLeases("s", {}, 1, absl::UnixEpoch()).value();
    for (const GrantedLease& lease : leases) {
      completion.fence = lease.fence;
      store->CompleteAttempt(completion, absl::UnixEpoch()).value();
    }
  }
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(BM_ProposeLeaseComplete)
    ->Setup(SetUp)
    ->Teardown(TearDown)
    ->ThreadRange(1, 64)
    ->UseRealTime();

}  // namespace
}  // namespace lathe

// Writes a small job into a store whose files fail as told, and tells on
// standard output what the store answered. See faulty_files_test.cc.
//
//   lathe-faulty-writer FOLDER none|cut|write|full|sync POINT SEED
#include <cstdio>
#include <cstdlib>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "base/log.h"
#include "storage/sqlite_store.h"
#include "storage/testing/faulty_vfs.h"
#include "storage/testing/store_fixture.h"

namespace lathe {
namespace {

using storage::VfsFault;

constexpr int kTrials = 3;

void Tell(const char* what, const std::string& which) {
  std::printf("%s %s\n", what, which.c_str());
  std::fflush(stdout);
}

// One pass over the job; what fails is left for the next pass.
void Work(Store& store) {
  const absl::Time now = absl::FromUnixSeconds(1000);
  const absl::StatusOr<v1::Job> job =
      store.CreateJob(TestSpec(), "request", now);
  if (!job.ok()) return;
  Tell("job", job->name());
  const auto trials = store.AllTrials(job->name());
  if (trials.ok() && trials->empty()) {
    std::vector<v1::Proposal> proposals;
    for (int i = 0; i < kTrials; ++i) proposals.push_back(TestProposal(i));
    (void)store.AddTrials(job->name(), proposals, now);
  }
  // Those of a pass that failed.
  const auto active = store.ActiveAttempts();
  std::vector<int64_t> fences;
  if (active.ok()) {
    for (const ActiveAttempt& attempt : *active) {
      fences.push_back(attempt.fence);
    }
  }
  for (int i = 0; i < kTrials; ++i) {
    const auto leases = store.GrantLeases("session", TestProfile(), 1, now);
    if (!leases.ok() || leases->empty()) break;
    Tell("granted", std::to_string((*leases)[0].fence));
    fences.push_back((*leases)[0].fence);
  }
  for (const int64_t fence : fences) {
    Completion completion = Measured(fence);
    // Counts for trial 0 only.
    completion.outcome.mutable_baseline()->set_activation_stats_digest("stats");
    if (store.CompleteAttempt(completion, now).ok()) {
      Tell("completed", std::to_string(fence));
    }
  }
}

int Run(const std::string& folder, const VfsFault& fault) {
  SetLogLevel(LogLevel::kOff);
  storage::InstallFaultyVfs(fault);
  {
    const auto store = OpenStore({folder});
    // A store that does not open promises nothing.
    if (!store.ok()) return 3;
    Work(**store);
    storage::ClearVfsFault();
    // Whatever failed before: it works again.
    Work(**store);
    const auto job = (*store)->GetJob("jobs/1");
    if (!job.ok() || job->counts().measured() != kTrials) return 4;
  }
  Tell("operations", std::to_string(storage::VfsOperations()));
  return 0;
}

}  // namespace
}  // namespace lathe

int main(int argc, char** argv) {
  const std::map<std::string, lathe::VfsFault::Kind> kinds = {
      {"none", lathe::VfsFault::Kind::kNone},
      {"cut", lathe::VfsFault::Kind::kCut},
      {"write", lathe::VfsFault::Kind::kWrite},
      {"full", lathe::VfsFault::Kind::kFull},
      {"sync", lathe::VfsFault::Kind::kSync}};
  if (argc != 5 || kinds.count(argv[2]) == 0) {
    std::fprintf(stderr, "usage: %s FOLDER KIND POINT SEED\n", argv[0]);
    return 2;
  }
  lathe::VfsFault fault;
  fault.kind = kinds.at(argv[2]);
  fault.point = std::atoll(argv[3]);
  fault.seed = std::strtoull(argv[4], nullptr, 10);
  return lathe::Run(argv[1], fault);
}

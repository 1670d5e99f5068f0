// Completes trials on several threads until it is killed, and tells each
// completed fence on standard output only after the store answered. With a
// number N the disk refuses every sync after the first N. See crash_test.cc.
#include <dlfcn.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "storage/sqlite_store.h"

namespace {

constexpr int kThreads = 4;

std::atomic<long> syncs_left{1L << 40};

int SyncUnlessRefused(const char* real_name, int fd) {
  if (syncs_left.fetch_sub(1) <= 0) {
    errno = EIO;
    return -1;
  }
  using Sync = int (*)(int);
  return reinterpret_cast<Sync>(dlsym(RTLD_NEXT, real_name))(fd);
}

void Tell(const std::string& line) {
  // One write of a short line to a pipe is atomic.
  if (write(STDOUT_FILENO, line.data(), line.size()) < 0) _exit(1);
}

void Work(lathe::Store* store, const std::string& job) {
  const absl::Time now = absl::UnixEpoch();
  lathe::Completion completion;
  completion.state = lathe::v1::TRIAL_MEASURED;
  completion.outcome.set_kind(lathe::v1::MEASURED);
  completion.outcome.mutable_measurement()->set_accuracy(0.5);
  const std::vector<lathe::v1::Proposal> proposals(1);
  for (;;) {
    if (!store->AddTrials(job, proposals, now).ok()) _exit(1);
    auto leases = store->GrantLeases("s", {}, /*count=*/1, now);
    if (!leases.ok()) _exit(1);
    for (const lathe::GrantedLease& lease : *leases) {
      completion.fence = lease.fence;
      if (!store->CompleteAttempt(completion, now).ok()) _exit(1);
      Tell(absl::StrCat(lease.fence, " ", lease.trial.name(), "\n"));
    }
  }
}

}  // namespace

// In place of the C library's, for SQLite too.
extern "C" int fsync(int fd) { return SyncUnlessRefused("fsync", fd); }
extern "C" int fdatasync(int fd) { return SyncUnlessRefused("fdatasync", fd); }

int main(int argc, char** argv) {
  if (argc != 2 && argc != 3) {
    std::fprintf(stderr, "usage: %s FOLDER [SYNCS]\n", argv[0]);
    return 2;
  }
  if (argc == 3) syncs_left = std::atol(argv[2]);
  auto store = lathe::OpenStore({argv[1]});
  if (!store.ok()) return 1;
  auto job = (*store)->CreateJob({}, "crash-test", absl::UnixEpoch());
  if (!job.ok()) return 1;
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back(Work, store->get(), job->name());
  }
  for (std::thread& thread : threads) thread.join();
}

#include "server/integrity_check.h"

#include <algorithm>
#include <cstdint>
#include <limits>
#include <memory>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "agent/frontier.h"
#include "base/file.h"
#include "base/status.h"
#include "server/frontier_tracker.h"
#include "storage/sqlite_store.h"

namespace lathe {
namespace {

constexpr int kMostProblems = 100;

void AddProblem(v1::CheckIntegrityResponse* found, std::string problem) {
  if (found->problems_size() < kMostProblems) {
    found->add_problems(std::move(problem));
  }
}

// The frontier of the trials that were learned, as the search loop records it.
absl::Status CheckFrontier(Store& store, const v1::Job& job,
                           v1::CheckIntegrityResponse* found) {
  LATHE_ASSIGN_OR_RETURN(const std::vector<v1::Trial> trials,
                         store.AllTrials(job.name()));
  std::vector<v1::Trial> points;
  for (const v1::Trial& trial : trials) {
    if (trial.learn_sequence() > 0 && trial.state() == v1::TRIAL_MEASURED) {
      points.push_back(trial);
    }
  }
  const std::vector<std::string> objectives(job.spec().objectives().begin(),
                                            job.spec().objectives().end());
  std::vector<int64_t> wanted;
  for (const int i : ParetoFrontier(points, objectives)) {
    wanted.push_back(points[i].number());
  }
  std::sort(wanted.begin(), wanted.end());
  LATHE_ASSIGN_OR_RETURN(const std::vector<int64_t> recorded,
                         store.FrontierNumbers(job.name()));
  if (recorded != wanted) {
    AddProblem(found, absl::StrCat(job.name(), ": the recorded frontier (",
                                   absl::StrJoin(recorded, " "),
                                   ") is not that of "
                                   "its trials (",
                                   absl::StrJoin(wanted, " "), ")"));
  }
  return absl::OkStatus();
}

absl::Status CheckFrontiers(Store& store, v1::CheckIntegrityResponse* found) {
  std::string page_token;
  do {
    LATHE_ASSIGN_OR_RETURN(const Page<v1::Job> page,
                           store.ListJobs(/*page_size=*/100, page_token));
    for (const v1::Job& job : page.rows) {
      LATHE_RETURN_IF_ERROR(CheckFrontier(store, job, found));
    }
    page_token = page.next_page_token;
  } while (!page_token.empty());
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<v1::CheckIntegrityResponse> CheckState(Store& store,
                                                      const BlobStore& blobs,
                                                      bool reads_blobs) {
  LATHE_ASSIGN_OR_RETURN(const IntegrityReport report, store.CheckIntegrity());
  v1::CheckIntegrityResponse found;
  for (const std::string& problem : report.problems) {
    AddProblem(&found, problem);
  }
  found.set_jobs(report.jobs);
  found.set_trials(report.trials);
  LATHE_RETURN_IF_ERROR(CheckFrontiers(store, &found));
  LATHE_ASSIGN_OR_RETURN(const std::vector<std::string> digests,
                         store.ReferencedBlobs());
  for (const std::string& digest : digests) {
    const absl::Status status =
        reads_blobs ? blobs.Verify(digest) : blobs.Size(digest).status();
    if (!status.ok()) AddProblem(&found, std::string(status.message()));
  }
  found.set_blobs(static_cast<int64_t>(digests.size()));
  return found;
}

absl::StatusOr<v1::CheckIntegrityResponse> CheckStateFolder(
    const std::string& folder, bool reads_blobs) {
  if (!FileExists(absl::StrCat(folder, "/lathe.db"))) {
    return absl::NotFoundError(
        absl::StrCat("no database in state folder ", folder));
  }
  StoreOptions options;
  options.folder = folder;
  options.is_for_inspection = true;
  LATHE_ASSIGN_OR_RETURN(const std::unique_ptr<Store> store,
                         OpenStore(options));
  LATHE_ASSIGN_OR_RETURN(
      const std::unique_ptr<BlobStore> blobs,
      BlobStore::Open(absl::StrCat(folder, "/blobs"),
                      {std::numeric_limits<int64_t>::max()}));
  return CheckState(*store, *blobs, reads_blobs);
}

}  // namespace lathe

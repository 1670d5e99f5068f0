// The worker with the real evaluator: what it is able to, and how its child
// opens jobs.
#include <sched.h>
#include <unistd.h>

#include <cstdint>
#include <map>
#include <string>
#include <utility>

#include "base/file.h"
#include "base/status.h"
#include "client/worker/evaluate_command.h"
#include "client/worker/worker_loop.h"
#include "data/dataset.h"
#include "evaluator/evaluator.h"
#include "evaluator/executor.h"

namespace lathe {
namespace {

v1::Capabilities ProbeCapabilities(int threads) {
  v1::Capabilities capabilities;
  *capabilities.mutable_profile() = ProbeHardware(threads);
  cpu_set_t cores;
  // Those that this process may use, not those that the machine has.
  if (sched_getaffinity(/*pid=*/0, sizeof(cores), &cores) == 0) {
    capabilities.set_cores(CPU_COUNT(&cores));
  }
  capabilities.set_memory_bytes(int64_t{sysconf(_SC_PHYS_PAGES)} *
                                sysconf(_SC_PAGESIZE));
  capabilities.set_evaluator_version(kEvaluatorVersion);
  return capabilities;
}

// A blob that cannot be read is this machine's fault (it was verified when it
// was fetched), not the job's.
absl::StatusOr<std::string> ReadBlob(const std::string& path) {
  absl::StatusOr<std::string> bytes = ReadFile(path);
  if (bytes.ok()) return bytes;
  return absl::UnavailableError(bytes.status().message());
}

absl::StatusOr<std::unique_ptr<Evaluator>> OpenJob(
    const v1::EvaluationJob& job) {
  LATHE_ASSIGN_OR_RETURN(std::string model, ReadBlob(job.model_path()));
  std::map<std::string, Dataset> datasets;
  for (const v1::BlobFile& file : job.datasets()) {
    LATHE_ASSIGN_OR_RETURN(std::string bytes, ReadBlob(file.path()));
    absl::StatusOr<Dataset> dataset = ParseDataset(bytes);
    if (!dataset.ok()) return Annotate(dataset.status(), "the data");
    datasets[file.digest()] = *std::move(dataset);
  }
  std::string stats;
  if (!job.activation_stats_path().empty()) {
    LATHE_ASSIGN_OR_RETURN(stats, ReadBlob(job.activation_stats_path()));
  }
  EvaluatorOptions options;
  if (job.has_pinned_core()) options.pinned_core = job.pinned_core();
  return OpenOneDnnEvaluator(model, std::move(datasets), job.spec(), stats,
                             options);
}

}  // namespace

absl::Status RunWorker(const WorkerOptions& options) {
  return RunWorkerAs(options, ProbeCapabilities(options.threads));
}

int RunEvaluateChild(int64_t memory_bytes) {
  return RunEvaluateChild(OpenJob, memory_bytes);
}

}  // namespace lathe

#include "client/worker/evaluate_command.h"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <deque>
#include <exception>
#include <new>
#include <string>
#include <utility>

#include "absl/base/config.h"
#include "absl/strings/str_cat.h"
#include "base/digest.h"
#include "base/file.h"
#include "base/memory.h"
#include "base/status.h"
#include "client/worker/message_socket.h"

namespace lathe {
namespace {

// An opened job holds its model and decoded data.
constexpr size_t kMostOpenJobs = 3;

// Code, libraries and thread stacks beyond what evaluations use.
constexpr int64_t kAddressSpaceSlack = int64_t{2} << 30;

constexpr rlim_t kMostOpenFiles = 1024;
constexpr rlim_t kMostFileBytes = rlim_t{64} << 30;

// ------------------------------------------------------- the child's set-up

// What an evaluation may do is bounded: the model may come from anybody.
void LimitResources(int64_t memory_bytes) {
  // Nothing that it might execute gets more rights than it has.
  prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  // Sanitizers reserve terabytes of address space.
#if defined(ABSL_HAVE_ADDRESS_SANITIZER) || defined(ABSL_HAVE_THREAD_SANITIZER)
  (void)memory_bytes;
#else
  if (memory_bytes == 0) memory_bytes = MachineMemoryBytes();
  const rlim_t most = memory_bytes + kAddressSpaceSlack;
  const rlimit limit{most, most};
  setrlimit(RLIMIT_AS, &limit);
#endif
  // A dump would hold the model and the data.
  const rlimit no_core{0, 0};
  setrlimit(RLIMIT_CORE, &no_core);
  // Far above what an evaluation opens, or writes into one file.
  const rlimit files{kMostOpenFiles, kMostOpenFiles};
  setrlimit(RLIMIT_NOFILE, &files);
  const rlimit file_bytes{kMostFileBytes, kMostFileBytes};
  setrlimit(RLIMIT_FSIZE, &file_bytes);
  // A write beyond is an error of that write.
  signal(SIGXFSZ, SIG_IGN);
  // Should memory run out all the same, this process goes and not the worker.
  if (FILE* file = std::fopen("/proc/self/oom_score_adj", "w")) {
    std::fputs("1000", file);
    std::fclose(file);
  }
}

// Takes the socket away from standard input, so that nobody reads or prints
// into it. Negative when there is none.
int TakeSocket() {
  int type = 0;
  socklen_t size = sizeof(type);
  if (getsockopt(STDIN_FILENO, SOL_SOCKET, SO_TYPE, &type, &size) != 0) {
    return -1;
  }
  const int socket = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3);
  const int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
  if (null >= 0) dup2(null, STDIN_FILENO);
  dup2(STDERR_FILENO, STDOUT_FILENO);
  return socket;
}

// ---------------------------------------------------------------- outcomes

v1::Outcome FailedOutcome(v1::OutcomeKind kind, const absl::Status& status) {
  v1::Outcome outcome;
  outcome.set_kind(kind);
  outcome.set_reason(std::string(status.message()));
  return outcome;
}

// The model and data cannot be opened, or the baseline not be measured.
v1::OutcomeKind KindWithoutPlan(const absl::Status& status) {
  switch (status.code()) {
    case absl::StatusCode::kInvalidArgument:
    case absl::StatusCode::kUnimplemented:
    case absl::StatusCode::kFailedPrecondition:
    case absl::StatusCode::kOutOfRange:
      return v1::BAD_INPUT;
    case absl::StatusCode::kResourceExhausted:
      return v1::OUT_OF_MEMORY;
    default:
      return v1::TRANSIENT;
  }
}

// The job is sound (its baseline was measured), so that the plan is to blame.
v1::OutcomeKind KindWithPlan(const absl::Status& status) {
  const v1::OutcomeKind kind = KindWithoutPlan(status);
  return kind == v1::BAD_INPUT ? v1::INFEASIBLE : kind;
}

// ------------------------------------------------------------- evaluations

class EvaluateServer {
 public:
  explicit EvaluateServer(const OpenEvaluator& open) : open_(open) {}

  // Never throws: oneDNN, and memory that runs out anywhere, do.
  v1::EvaluationResponse Answer(const v1::EvaluationRequest& request) {
    v1::EvaluationResponse response;
    try {
      return Evaluate(request);
    } catch (const std::bad_alloc&) {
      open_jobs_.clear();
      *response.mutable_outcome() = FailedOutcome(
          v1::OUT_OF_MEMORY,
          absl::ResourceExhaustedError("the evaluation ran out of memory"));
    } catch (const std::exception& error) {
      open_jobs_.clear();
      *response.mutable_outcome() = FailedOutcome(
          v1::CRASH, absl::InternalError(
                         absl::StrCat("the evaluation threw: ", error.what())));
    }
    return response;
  }

 private:
  struct OpenJob {
    std::string key;
    std::unique_ptr<Evaluator> evaluator;
    // Of the activation statistics that it left as trial 0; else empty.
    std::string stats_digest;
  };

  v1::EvaluationResponse Evaluate(const v1::EvaluationRequest& request) {
    v1::EvaluationResponse response;
    const absl::StatusOr<OpenJob*> job = Find(request.job());
    absl::Status status = job.status();
    v1::OutcomeKind kind = KindWithoutPlan(status);
    if (status.ok() && request.has_plan()) {
      status = EvaluatePlan(*(*job)->evaluator, request, &response);
      kind = KindWithPlan(status);
    } else if (status.ok()) {
      status = EvaluateBaseline(**job, request, &response);
      kind = KindWithoutPlan(status);
    }
    if (!status.ok()) {
      *response.mutable_outcome() = FailedOutcome(kind, status);
    }
    if (kind == v1::OUT_OF_MEMORY) open_jobs_.clear();
    return response;
  }

  // The job, opened before or now. Newest at the back; valid until the next
  // call.
  absl::StatusOr<OpenJob*> Find(const v1::EvaluationJob& job) {
    const std::string key = job.SerializeAsString();
    auto found =
        std::find_if(open_jobs_.begin(), open_jobs_.end(),
                     [&key](const OpenJob& open) { return open.key == key; });
    if (found == open_jobs_.end()) found = FindBaselineOf(job);
    if (found != open_jobs_.end()) {
      found->key = key;
      std::rotate(found, found + 1, open_jobs_.end());
      return &open_jobs_.back();
    }
    if (open_jobs_.size() == kMostOpenJobs) open_jobs_.pop_front();
    LATHE_ASSIGN_OR_RETURN(std::unique_ptr<Evaluator> evaluator, open_(job));
    open_jobs_.push_back({key, std::move(evaluator), /*stats_digest=*/""});
    return &open_jobs_.back();
  }

  // The one that measured the job's trial 0 and left the very statistics that
  // the job now comes with: it has all that the job needs.
  std::deque<OpenJob>::iterator FindBaselineOf(const v1::EvaluationJob& job) {
    if (job.activation_stats_path().empty()) return open_jobs_.end();
    v1::EvaluationJob baseline = job;
    baseline.clear_activation_stats_path();
    const std::string key = baseline.SerializeAsString();
    const auto found = std::find_if(
        open_jobs_.begin(), open_jobs_.end(), [&key](const OpenJob& open) {
          return open.key == key && !open.stats_digest.empty();
        });
    if (found == open_jobs_.end()) return found;
    const absl::StatusOr<std::string> stats =
        ReadFile(job.activation_stats_path());
    const bool is_same = stats.ok() && Sha256Hex(*stats) == found->stats_digest;
    return is_same ? found : open_jobs_.end();
  }

  static absl::Status EvaluatePlan(Evaluator& evaluator,
                                   const v1::EvaluationRequest& request,
                                   v1::EvaluationResponse* response) {
    LATHE_ASSIGN_OR_RETURN(
        const std::optional<v1::Measurement> looked,
        evaluator.LookFirst(request.plan(), request.rivals()));
    if (looked.has_value()) {
      response->mutable_outcome()->set_kind(v1::MEASURED);
      *response->mutable_outcome()->mutable_measurement() = *looked;
      return absl::OkStatus();
    }
    LATHE_ASSIGN_OR_RETURN(Evaluation evaluation,
                           evaluator.Evaluate(request.plan()));
    return Fill(evaluation, request, response);
  }

  static absl::Status EvaluateBaseline(OpenJob& job,
                                       const v1::EvaluationRequest& request,
                                       v1::EvaluationResponse* response) {
    LATHE_ASSIGN_OR_RETURN(BaselineEvaluation baseline,
                           job.evaluator->EvaluateBaseline());
    job.stats_digest = Sha256Hex(baseline.activation_stats);
    const std::string path =
        absl::StrCat(request.output_folder(), "/activation_stats");
    LATHE_RETURN_IF_ERROR(WriteOutput(path, baseline.activation_stats));
    response->set_activation_stats_path(path);
    *response->mutable_outcome()->mutable_baseline() =
        std::move(baseline.report);
    return Fill(baseline.evaluation, request, response);
  }

  static absl::Status Fill(const Evaluation& evaluation,
                           const v1::EvaluationRequest& request,
                           v1::EvaluationResponse* response) {
    const std::string path =
        absl::StrCat(request.output_folder(), "/artifact.onnx");
    LATHE_RETURN_IF_ERROR(WriteOutput(path, evaluation.artifact));
    response->set_artifact_path(path);
    response->mutable_outcome()->set_kind(v1::MEASURED);
    *response->mutable_outcome()->mutable_measurement() =
        evaluation.measurement;
    return absl::OkStatus();
  }

  // A full disk is the machine's fault, not the plan's, and not its memory's.
  static absl::Status WriteOutput(const std::string& path,
                                  const std::string& bytes) {
    absl::Status status = WriteFileAtomically(path, bytes);
    if (status.ok()) return status;
    return absl::UnavailableError(status.message());
  }

  const OpenEvaluator open_;
  std::deque<OpenJob> open_jobs_;
};

}  // namespace

int RunEvaluateChild(const OpenEvaluator& open, int64_t memory_bytes) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  prctl(PR_SET_NAME, "lathe-evaluate");
  const int socket = TakeSocket();
  if (socket < 0) {
    std::fprintf(stderr,
                 "evaluate is for lathe-worker itself: it serves requests on a "
                 "socket\n");
    return 2;
  }
  LimitResources(memory_bytes);
  EvaluateServer server(open);
  MessageReader reader;
  for (;;) {
    v1::EvaluationRequest request;
    absl::StatusOr<bool> is_whole = reader.Take(&request);
    while (is_whole.ok() && !*is_whole) {
      // A worker that is gone, before PR_SET_PDEATHSIG even, is the end.
      const absl::StatusOr<bool> is_open = reader.ReadSome(socket);
      if (!is_open.ok() || !*is_open) return 0;
      is_whole = reader.Take(&request);
    }
    if (!is_whole.ok()) return 1;
    if (!SendMessage(socket, server.Answer(request)).ok()) return 0;
  }
}

}  // namespace lathe

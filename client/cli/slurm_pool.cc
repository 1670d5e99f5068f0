#include "client/cli/slurm_pool.h"

#include <algorithm>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "base/status.h"
#include "client/cli/run_program.h"

namespace lathe {
namespace {

// The comment of a task that was told to drain: Slurm keeps it, so that the
// next command does not count the task.
constexpr char kDrainComment[] = "lathe-drain";

// The worker gives back what it runs before that time. A partition without a
// limit has no end.
constexpr char kFindEnd[] =
    R"sh(end=$(squeue -h -j "$SLURM_JOB_ID" -o %e 2>/dev/null)
case $end in
  [0-9]*-*T*) LATHE_END_TIME=$(date -d "$end" +%s) ;;
  *) LATHE_END_TIME= ;;
esac
export LATHE_END_TIME
)sh";

std::string Quoted(const std::string& text) {
  return absl::StrCat("'", absl::StrReplaceAll(text, {{"'", R"('\'')"}}), "'");
}

std::string Option(absl::string_view name, absl::string_view value) {
  return value.empty() ? ""
                       : absl::StrCat("#SBATCH --", name, "=", value, "\n");
}

// Slurm's own words, on one line.
absl::Status Refusal(const std::string& program, const ProgramResult& result) {
  std::string words = result.errors.empty() ? result.output : result.errors;
  words =
      absl::StrReplaceAll(absl::StripAsciiWhitespace(words), {{"\n", "; "}});
  const std::string message =
      absl::StrCat(program, " ended with ", result.exit_code, ": ", words);
  const bool is_away = absl::StrContains(words, "Unable to contact") ||
                       absl::StrContains(words, "onnection") ||
                       absl::StrContains(words, "socket");
  return is_away ? absl::UnavailableError(message)
                 : absl::InvalidArgumentError(message);
}

absl::StatusOr<std::string> OutputOf(const std::vector<std::string>& arguments,
                                     absl::string_view input = "") {
  LATHE_ASSIGN_OR_RETURN(ProgramResult result, RunProgram(arguments, input));
  if (result.exit_code != 0) return Refusal(arguments[0], result);
  return std::move(result.output);
}

std::vector<std::string> Ids(absl::Span<const PoolTask> tasks) {
  std::vector<std::string> ids;
  for (const PoolTask& task : tasks) ids.push_back(task.id);
  return ids;
}

}  // namespace

std::string SlurmScript(const PoolSpec& spec) {
  std::vector<std::string> command = {Quoted(spec.worker_program)};
  for (const std::string& argument : WorkerArguments(spec)) {
    command.push_back(Quoted(argument));
  }
  const std::string log =
      spec.logs.empty() ? "" : absl::StrCat(spec.logs, "/%x-%A_%a.log");
  return absl::StrCat(
      "#!/bin/bash\n", Option("job-name", ScheduledName(spec.name)),
      "#SBATCH --nodes=1 --ntasks=1\n",
      Option("cpus-per-task", absl::StrCat(spec.threads)),
      Option("signal", absl::StrCat("B:USR1@", spec.warn_seconds)),
      "#SBATCH --requeue\n#SBATCH --open-mode=append\n",
      Option("partition", spec.partition),
      Option("constraint", spec.constraint), Option("time", spec.time_limit),
      Option("output", log), spec.is_exclusive ? "#SBATCH --exclusive\n" : "",
      kFindEnd, "exec ", absl::StrJoin(command, " "), "\n");
}

std::vector<PoolTask> InOrderOfEnding(absl::Span<const PoolTask> tasks) {
  std::vector<PoolTask> order;
  for (auto task = tasks.rbegin(); task != tasks.rend(); ++task) {
    if (!task->is_draining) order.push_back(*task);
  }
  std::stable_partition(order.begin(), order.end(), [](const PoolTask& task) {
    return task.state == "PENDING";
  });
  return order;
}

absl::StatusOr<std::string> SubmitSlurm(const std::string& script,
                                        int workers) {
  LATHE_ASSIGN_OR_RETURN(std::string job,
                         OutputOf({"sbatch", "--parsable",
                                   absl::StrCat("--array=0-", workers - 1)},
                                  script));
  // "JOB" or "JOB;CLUSTER".
  const std::vector<std::string> parts = absl::StrSplit(job, ';');
  return std::string(absl::StripAsciiWhitespace(parts[0]));
}

absl::StatusOr<std::vector<PoolTask>> SlurmTasks(const std::string& pool) {
  LATHE_ASSIGN_OR_RETURN(const std::string output,
                         OutputOf({"squeue", "--me", "-r", "-h",
                                   absl::StrCat("--name=", ScheduledName(pool)),
                                   "-o", "%i|%T|%N|%k"}));
  std::vector<PoolTask> tasks;
  for (absl::string_view line :
       absl::StrSplit(output, '\n', absl::SkipWhitespace())) {
    const std::vector<std::string> cells = absl::StrSplit(line, '|');
    if (cells.size() < 4) {
      return absl::InternalError(
          absl::StrCat("squeue printed a line of another form: ", line));
    }
    if (cells[1] == "COMPLETING") continue;
    PoolTask& task = tasks.emplace_back();
    task.id = cells[0];
    task.state = cells[1];
    task.node = cells[2];
    task.is_draining = cells[3] == kDrainComment;
    task.placement = absl::StrCat("slurm:", task.id);
  }
  return tasks;
}

absl::StatusOr<std::string> SlurmScriptOf(const PoolTask& task) {
  const std::vector<std::string> parts = absl::StrSplit(task.id, '_');
  return OutputOf({"scontrol", "write", "batch_script", parts[0], "-"});
}

absl::Status EndSlurmTasks(absl::Span<const PoolTask> tasks) {
  if (tasks.empty()) return absl::OkStatus();
  std::vector<std::string> command = {"scancel"};
  for (std::string& id : Ids(tasks)) command.push_back(std::move(id));
  return OutputOf(command).status();
}

absl::Status DrainSlurmTasks(absl::Span<const PoolTask> tasks) {
  std::vector<PoolTask> waiting;
  for (const PoolTask& task : tasks) {
    if (task.state == "PENDING") {
      waiting.push_back(task);
      continue;
    }
    LATHE_RETURN_IF_ERROR(
        OutputOf({"scontrol", "update", absl::StrCat("JobId=", task.id),
                  absl::StrCat("Comment=", kDrainComment)})
            .status());
    LATHE_RETURN_IF_ERROR(
        OutputOf({"scancel", "--signal=USR1", "--batch", task.id}).status());
  }
  return EndSlurmTasks(waiting);
}

}  // namespace lathe

// `lathe pool`: workers that a scheduler runs.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "client/cli/child_process.h"
#include "client/cli/command.h"
#include "client/cli/exit_code.h"
#include "client/cli/kubernetes_pool.h"
#include "client/cli/pool_spec.h"
#include "client/cli/slurm_pool.h"
#include "client/cli/text_table.h"
#include "client/search_client.h"

namespace lathe {
namespace {

constexpr int kMostWorkers = 10'000;

struct PoolFlags {
  PoolSpec spec;
  bool is_slurm = false;
  bool is_kubernetes = false;
  int workers = 0;
  // Print what would be given to the scheduler, and do nothing.
  bool is_dry_run = false;
  bool is_draining = false;
};

using Workers = std::map<std::string, v1::WorkerInfo>;  // By placement.

absl::Status NoPool(const PoolFlags& flags) {
  return absl::NotFoundError(absl::StrCat("no pool \"", flags.spec.name,
                                          "\" runs; `lathe pool up` starts "
                                          "one"));
}

void PrintResult(const Cli& cli, const PoolFlags& flags, const std::string& did,
                 nlohmann::json object) {
  object["pool"] = flags.spec.name;
  object["scheduler"] = flags.is_slurm ? "slurm" : "kubernetes";
  if (cli.is_json()) {
    PrintJson(object);
  } else {
    PrintText(absl::StrCat("pool ", flags.spec.name, ": ", did, "\n"));
  }
}

absl::StatusOr<std::vector<PoolTask>> Tasks(const PoolFlags& flags) {
  return flags.is_slurm
             ? SlurmTasks(flags.spec.name)
             : KubernetesTasks(flags.spec.name, flags.spec.name_space);
}

absl::Status FillWorkerProgram(PoolSpec& spec) {
  if (!spec.worker_program.empty()) return absl::OkStatus();
  LATHE_ASSIGN_OR_RETURN(spec.worker_program, FindSibling("lathe-worker"));
  return absl::OkStatus();
}

absl::Status UpSlurm(const Cli& cli, PoolFlags& flags) {
  LATHE_RETURN_IF_ERROR(FillWorkerProgram(flags.spec));
  const std::string script = SlurmScript(flags.spec);
  if (flags.is_dry_run) {
    PrintText(script);
    return absl::OkStatus();
  }
  LATHE_ASSIGN_OR_RETURN(const std::vector<PoolTask> tasks,
                         SlurmTasks(flags.spec.name));
  if (!tasks.empty()) {
    return absl::AlreadyExistsError(absl::StrCat(
        "pool \"", flags.spec.name, "\" has ", tasks.size(),
        " tasks; change it with `lathe pool scale`, or give another --name"));
  }
  LATHE_ASSIGN_OR_RETURN(const std::string job,
                         SubmitSlurm(script, flags.workers));
  PrintResult(cli, flags,
              absl::StrCat(flags.workers, " workers submitted as job ", job),
              {{"workers", flags.workers},
               {"submitted", nlohmann::json::array({job})}});
  return absl::OkStatus();
}

absl::Status UpKubernetes(const Cli& cli, const PoolFlags& flags) {
  if (flags.spec.image.empty()) {
    return absl::InvalidArgumentError(
        "no --image given: one with lathe-worker in its PATH is needed");
  }
  if (flags.is_dry_run) {
    PrintText(KubernetesManifest(flags.spec, flags.workers).dump(2) + "\n");
    return absl::OkStatus();
  }
  LATHE_RETURN_IF_ERROR(ApplyKubernetes(flags.spec, flags.workers));
  PrintResult(cli, flags, absl::StrCat(flags.workers, " workers asked for"),
              {{"workers", flags.workers}});
  return absl::OkStatus();
}

// A loopback server can be reached from no other machine.
void WarnOfLoopback(const std::string& server) {
  if (absl::StartsWith(server, "127.") ||
      absl::StartsWith(server, "localhost")) {
    std::fprintf(stderr,
                 "lathe: %s is this machine's own address: workers on others "
                 "will not find the server\n",
                 server.c_str());
  }
}

absl::Status Up(const Cli& cli, PoolFlags& flags) {
  flags.spec.server = cli.server;
  flags.spec.credentials.ca_file = cli.credentials.ca_file;
  LATHE_RETURN_IF_ERROR(CheckPoolSpec(flags.spec));
  WarnOfLoopback(cli.server);
  return flags.is_slurm ? UpSlurm(cli, flags) : UpKubernetes(cli, flags);
}

// Starts or ends tasks until `flags.workers` are left that do not drain.
absl::Status ScaleSlurm(const PoolFlags& flags, nlohmann::json& result) {
  LATHE_ASSIGN_OR_RETURN(const std::vector<PoolTask> tasks,
                         SlurmTasks(flags.spec.name));
  if (tasks.empty()) return NoPool(flags);
  std::vector<PoolTask> staying = InOrderOfEnding(tasks);
  const int have = static_cast<int>(staying.size());
  if (have < flags.workers) {
    LATHE_ASSIGN_OR_RETURN(const std::string script,
                           SlurmScriptOf(tasks.front()));
    LATHE_ASSIGN_OR_RETURN(const std::string job,
                           SubmitSlurm(script, flags.workers - have));
    result["submitted"].push_back(job);
    return absl::OkStatus();
  }
  staying.resize(have - flags.workers);
  for (const PoolTask& task : staying) result["draining"].push_back(task.id);
  return DrainSlurmTasks(staying);
}

absl::Status Scale(const Cli& cli, PoolFlags& flags) {
  nlohmann::json result = {{"workers", flags.workers},
                           {"submitted", nlohmann::json::array()},
                           {"draining", nlohmann::json::array()}};
  LATHE_RETURN_IF_ERROR(flags.is_slurm ? ScaleSlurm(flags, result)
                                       : ScaleKubernetes(flags.spec.name,
                                                         flags.spec.name_space,
                                                         flags.workers));
  PrintResult(cli, flags, absl::StrCat("to have ", flags.workers, " workers"),
              result);
  return absl::OkStatus();
}

absl::Status Down(const Cli& cli, PoolFlags& flags) {
  LATHE_ASSIGN_OR_RETURN(const std::vector<PoolTask> tasks, Tasks(flags));
  if (tasks.empty() && flags.is_slurm) return NoPool(flags);
  if (!flags.is_slurm) {
    LATHE_RETURN_IF_ERROR(
        DeleteKubernetes(flags.spec.name, flags.spec.name_space));
  } else {
    LATHE_RETURN_IF_ERROR(flags.is_draining ? DrainSlurmTasks(tasks)
                                            : EndSlurmTasks(tasks));
  }
  PrintResult(cli, flags, absl::StrCat(tasks.size(), " workers told to end"),
              {{"ended", tasks.size()}});
  return absl::OkStatus();
}

// What the server knows of the pool's workers; nothing where no server is
// named or none answers: the scheduler's view is worth showing alone.
Workers KnownWorkers(const Cli& cli) {
  Workers workers;
  if (cli.server.empty()) return workers;
  const auto channel = cli.Connect();
  if (!channel.ok()) {
    std::fprintf(stderr, "lathe: %s\n",
                 std::string(channel.status().message()).c_str());
    return workers;
  }
  const auto listed = AdminClient(*channel).ListWorkers();
  if (!listed.ok()) return workers;
  for (const v1::WorkerInfo& worker : *listed) {
    // A requeued task registers anew under the same placement.
    const auto known = workers.find(worker.placement());
    const bool is_newer =
        known == workers.end() ||
        worker.silent_seconds() < known->second.silent_seconds();
    if (is_newer) workers[worker.placement()] = worker;
  }
  return workers;
}

nlohmann::json TaskToJson(const PoolTask& task, const v1::WorkerInfo* worker) {
  nlohmann::json row = {{"id", task.id},     {"state", task.state},
                        {"node", task.node}, {"is_draining", task.is_draining},
                        {"worker", nullptr}, {"worker_state", nullptr}};
  if (worker != nullptr) {
    row["worker"] = worker->name();
    row["worker_state"] = worker->state();
  }
  return row;
}

absl::Status Status(const Cli& cli, PoolFlags& flags) {
  LATHE_ASSIGN_OR_RETURN(const std::vector<PoolTask> tasks, Tasks(flags));
  if (tasks.empty()) return NoPool(flags);
  const Workers workers = KnownWorkers(cli);
  TextTable table({"<TASK", "<STATE", "<NODE", "<WORKER", "<WORKER STATE"});
  nlohmann::json rows = nlohmann::json::array();
  std::map<std::string, int> counts;
  for (const PoolTask& task : tasks) {
    const auto known = workers.find(task.placement);
    const v1::WorkerInfo* worker =
        known == workers.end() ? nullptr : &known->second;
    const std::string state = task.is_draining ? "DRAINING" : task.state;
    ++counts[state];
    rows.push_back(TaskToJson(task, worker));
    table.AddRow({task.id, state, task.node,
                  worker == nullptr ? "" : worker->name(),
                  worker == nullptr ? "" : worker->state()});
  }
  if (!cli.is_json()) {
    PrintText(table.Render());
    return absl::OkStatus();
  }
  PrintResult(cli, flags, "",
              {{"workers", tasks.size() - counts["DRAINING"]},
               {"running", counts["RUNNING"]},
               {"pending", counts["PENDING"]},
               {"draining", counts["DRAINING"]},
               {"tasks", rows}});
  return absl::OkStatus();
}

using Action = absl::Status (*)(const Cli&, PoolFlags&);

// A sub-command with the flags that all have.
CLI::App* AddAction(CLI::App& pool, Cli& cli, const char* name,
                    const char* text, Action run,
                    const std::shared_ptr<PoolFlags>& flags) {
  CLI::App* command = pool.add_subcommand(name, text);
  CLI::Option_group* scheduler = command->add_option_group("scheduler");
  scheduler->add_flag("--slurm", flags->is_slurm, "Slurm runs the workers");
  scheduler->add_flag("--kubernetes", flags->is_kubernetes,
                      "Kubernetes runs the workers");
  scheduler->require_option(1);
  command->add_option("--name", flags->spec.name, "Name of the pool")
      ->capture_default_str();
  command->add_option("--namespace", flags->spec.name_space,
                      "Kubernetes: kubectl's current one when not given");
  command->callback([&cli, flags, run] {
    cli.action = [&cli, flags, run]() -> absl::Status {
      LATHE_RETURN_IF_ERROR(CheckPoolName(flags->spec.name));
      return run(cli, *flags);
    };
  });
  return command;
}

void AddUp(CLI::App& pool, Cli& cli) {
  const auto flags = std::make_shared<PoolFlags>();
  PoolSpec& spec = flags->spec;
  CLI::App* up = AddAction(pool, cli, "up", "Start a pool", &Up, flags);
  up->add_option("--workers", flags->workers, "Number of workers")
      ->required()
      ->check(CLI::Range(1, kMostWorkers));
  up->add_option("--threads", spec.threads, "Cores of each worker")
      ->check(CLI::Range(1, 1024))
      ->capture_default_str();
  up->add_option("--cache", spec.cache, "Folder for blobs on the nodes");
  up->add_option("--worker-tls-cert", spec.credentials.certificate_file,
                 "Certificate of the workers, on the nodes (PEM)");
  up->add_option("--worker-tls-key", spec.credentials.key_file,
                 "Its private key, on the nodes (PEM)");
  up->add_option("--worker-token-file", spec.credentials.token_file,
                 "File on the nodes with a token of role worker");
  up->add_flag("--dry-run", flags->is_dry_run,
               "Print the script or manifest, and start nothing");
  up->add_option("--partition", spec.partition, "Slurm: as sbatch's");
  up->add_option("--constraint", spec.constraint, "Slurm: as sbatch's");
  up->add_option("--time", spec.time_limit, "Slurm: as sbatch's");
  up->add_flag("--exclusive", spec.is_exclusive, "Slurm: whole nodes");
  up->add_option("--warn", spec.warn_seconds,
                 "Slurm: seconds before the time limit in which a worker "
                 "takes nothing more")
      ->check(CLI::Range(15, 86'400))
      ->capture_default_str();
  up->add_option("--logs", spec.logs, "Slurm: folder for the workers' logs");
  up->add_option("--worker-program", spec.worker_program,
                 "Slurm: lathe-worker on the nodes; beside this program when "
                 "not given");
  up->add_option("--image", spec.image,
                 "Kubernetes: image with lathe-worker in its PATH");
  up->add_option("WORKER_ARGUMENTS", spec.worker_arguments,
                 "After --: further arguments of each worker");
}

}  // namespace

void AddPool(CLI::App& app, Cli& cli) {
  CLI::App* pool = app.add_subcommand(
      "pool", "Workers that Slurm or Kubernetes runs; see docs/cluster.md");
  pool->require_subcommand(1);
  AddUp(*pool, cli);
  const auto status = std::make_shared<PoolFlags>();
  AddAction(*pool, cli, "status", "The pool's workers", &Status, status);
  const auto scale = std::make_shared<PoolFlags>();
  AddAction(*pool, cli, "scale",
            "Start workers, or let some end after what they run", &Scale, scale)
      ->add_option("--workers", scale->workers, "Number of workers to have")
      ->required()
      ->check(CLI::Range(0, kMostWorkers));
  const auto down = std::make_shared<PoolFlags>();
  AddAction(*pool, cli, "down", "End all workers; what they run is given back",
            &Down, down)
      ->add_flag("--drain", down->is_draining,
                 "Slurm: let them end what they run");
}

}  // namespace lathe

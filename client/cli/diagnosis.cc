// `lathe explain`, `doctor`: why nothing happens.
#include <CLI/CLI.hpp>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/status.h"
#include "client/cli/command.h"
#include "client/cli/exit_code.h"
#include "client/cli/text_table.h"
#include "client/search_client.h"
#include "proto/names.h"

namespace lathe {
namespace {

absl::Status Explain(const Cli& cli, const std::string& job) {
  LATHE_ASSIGN_OR_RETURN(const auto channel, cli.Connect());
  LATHE_ASSIGN_OR_RETURN(const v1::JobExplanation explanation,
                         SearchClient(channel).ExplainJob(JobName(job)));
  nlohmann::json causes = nlohmann::json::array();
  std::string text;
  for (const v1::JobExplanation::Cause& cause : explanation.causes()) {
    causes.push_back({{"code", cause.code()}, {"text", cause.text()}});
    absl::StrAppend(&text, Printable(cause.text()), "\n");
  }
  if (cli.is_json()) {
    PrintJson({{"job", JobName(job)},
               {"is_advancing", explanation.is_advancing()},
               {"causes", causes}});
  } else {
    PrintText(text);
  }
  return absl::OkStatus();
}

// One thing that was looked at.
struct Finding {
  std::string check;
  bool is_ok = true;
  std::string text;
};

Finding CheckVersion(const v1::ServerInfo& info) {
  const bool is_same = info.version() == LATHE_VERSION;
  return {"version", is_same,
          absl::StrCat("server ", info.version(), ", client ", LATHE_VERSION,
                       is_same ? "" : ": install the same on both")};
}

Finding CheckWorkers(const std::vector<v1::WorkerInfo>& workers) {
  std::map<std::string, int> counts;  // By state.
  for (const v1::WorkerInfo& worker : workers) ++counts[worker.state()];
  const bool is_ok = counts["idle"] + counts["busy"] > 0 &&
                     counts["cordoned"] + counts["lost"] == 0;
  std::vector<std::string> words;
  for (const auto& [state, count] : counts) {
    if (count > 0) words.push_back(absl::StrCat(count, " ", state));
  }
  return {"workers", is_ok,
          words.empty() ? "none; start `lathe-worker --server ...` or "
                          "`lathe pool up`"
                        : absl::StrJoin(words, ", ")};
}

// One for each job that should advance.
absl::StatusOr<std::vector<Finding>> CheckJobs(const SearchClient& client) {
  LATHE_ASSIGN_OR_RETURN(const std::vector<v1::Job> jobs, client.ListJobs());
  std::vector<Finding> findings;
  for (const v1::Job& job : jobs) {
    if (IsFinal(job.state()) || job.state() == v1::PAUSED) continue;
    LATHE_ASSIGN_OR_RETURN(const v1::JobExplanation explanation,
                           client.ExplainJob(job.name()));
    std::vector<std::string> texts;
    for (const auto& cause : explanation.causes()) {
      texts.push_back(cause.text());
    }
    findings.push_back(
        {job.name(), explanation.is_advancing(), absl::StrJoin(texts, "; ")});
  }
  return findings;
}

absl::StatusOr<std::vector<Finding>> Examine(const Cli& cli) {
  LATHE_ASSIGN_OR_RETURN(const auto channel, cli.Connect());
  const AdminClient admin(channel);
  LATHE_ASSIGN_OR_RETURN(const v1::ServerInfo info, admin.GetServerInfo());
  LATHE_ASSIGN_OR_RETURN(const std::vector<v1::WorkerInfo> workers,
                         admin.ListWorkers());
  LATHE_ASSIGN_OR_RETURN(const std::vector<Finding> jobs,
                         CheckJobs(SearchClient(channel)));
  std::vector<Finding> findings = {CheckVersion(info), CheckWorkers(workers)};
  findings.insert(findings.end(), jobs.begin(), jobs.end());
  return findings;
}

absl::Status Doctor(const Cli& cli) {
  LATHE_ASSIGN_OR_RETURN(const std::vector<Finding> findings, Examine(cli));
  int problems = 0;
  TextTable table({"<", "<CHECK", "<FOUND"});
  nlohmann::json rows = nlohmann::json::array();
  for (const Finding& finding : findings) {
    problems += finding.is_ok ? 0 : 1;
    table.AddRow({finding.is_ok ? "ok" : "!!", finding.check, finding.text});
    rows.push_back({{"check", finding.check},
                    {"is_ok", finding.is_ok},
                    {"text", finding.text}});
  }
  if (cli.is_json()) {
    PrintJson({{"problems", problems}, {"checks", rows}});
  } else {
    PrintText(table.Render());
  }
  if (problems == 0) return absl::OkStatus();
  return WithExitCode(
      absl::FailedPreconditionError(absl::StrCat(problems, " problems found")),
      kExitFailed);
}

}  // namespace

void AddDiagnosis(CLI::App& app, Cli& cli) {
  AddNamedCommand(app, cli, "explain", "Why a job does not advance", &Explain);
  app.add_subcommand("doctor",
                     "Look for what is wrong with server, workers and jobs; "
                     "exit code 6 when something is")
      ->callback([&cli] { cli.action = [&cli] { return Doctor(cli); }; });
}

}  // namespace lathe

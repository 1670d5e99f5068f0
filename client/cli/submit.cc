// `lathe submit`: checks, uploads, creates the job.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>
#include <random>
#include <string>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "client/cli/command.h"
#include "client/cli/job_inputs.h"
#include "client/search_client.h"

namespace lathe {
namespace {

struct SubmitFlags {
  JobFlags job;
  std::string request_id;
};

// New with every call, so that every submit makes a job of its own unless the
// user names the request.
std::string RandomRequestId() {
  std::random_device device;
  std::string id = "submit-";
  for (int i = 0; i < 4; ++i) {
    absl::StrAppend(&id, absl::Hex(device(), absl::kZeroPad8));
  }
  return id;
}

absl::Status Submit(const Cli& cli, const SubmitFlags& flags) {
  LATHE_ASSIGN_OR_RETURN(const auto channel, cli.Connect());
  LATHE_ASSIGN_OR_RETURN(const JobInputs inputs, ReadJobInputs(flags.job));
  LATHE_RETURN_IF_ERROR(UploadInputs(channel, inputs));
  LATHE_ASSIGN_OR_RETURN(
      const v1::Job job,
      SearchClient(channel).CreateJob(inputs.spec, flags.request_id.empty()
                                                       ? RandomRequestId()
                                                       : flags.request_id));
  if (cli.is_json()) {
    PrintJson({{"job", job.name()}});
  } else {
    PrintText(job.name() + "\n");
  }
  return absl::OkStatus();
}

}  // namespace

void AddSubmit(CLI::App& app, Cli& cli) {
  // Shared with the callbacks, which outlive this function.
  const auto flags = std::make_shared<SubmitFlags>();
  CLI::App* command = app.add_subcommand("submit", "Start a search");
  AddJobFlags(*command, flags->job);
  command->add_option("--request-id", flags->request_id,
                      "1-64 characters; repeated with the same one, submit "
                      "returns the first one's job");
  command->callback([&cli, flags] {
    cli.action = [&cli, flags] { return Submit(cli, *flags); };
  });
}

}  // namespace lathe

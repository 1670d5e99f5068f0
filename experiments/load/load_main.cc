// lathe-load: thousands of simulated workers, queries, and the yardsticks.
#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>
#include <grpcpp/support/channel_arguments.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <atomic>
#include <cstdio>
#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/blocking_counter.h"
#include "absl/time/clock.h"
#include "base/status.h"
#include "client/blobs.h"
#include "client/channel.h"
#include "client/search_client.h"
#include "experiments/load/bare.h"
#include "experiments/load/load_queries.h"
#include "experiments/load/load_session.h"

namespace lathe {
namespace {

// Sessions per connection: as with real workers, calls do not all share one.
constexpr int kSessionsPerChannel = 25;

struct Flags {
  std::string server;
  std::string job;
  std::string agent = "random";
  std::string folder;
  int64_t trials = 100'000;
  int workers = 64;
  double seconds = 10;
  double warm_up_seconds = 1;
  double evaluation_ms = 0;
  double renew_seconds = 0;
  int model_mib = 0;
  int repeats = 200;
  int batch = 64;
  int row_bytes = 1000;
};

absl::Status Print(const nlohmann::json& value) {
  std::printf("%s\n", value.dump().c_str());
  return absl::OkStatus();
}

// Channels of one process share a connection unless their arguments differ.
std::vector<std::shared_ptr<grpc::Channel>> MakeChannels(
    const std::string& server, int count) {
  std::vector<std::shared_ptr<grpc::Channel>> channels;
  for (int i = 0; i < count; ++i) {
    grpc::ChannelArguments arguments;
    arguments.SetInt("lathe.load.connection", i);
    channels.push_back(grpc::CreateCustomChannel(
        server, grpc::InsecureChannelCredentials(), arguments));
  }
  return channels;
}

absl::Status MakeJob(const Flags& flags) {
  const auto channel = MakeChannel(flags.server);
  v1::JobSpec spec;
  std::string model = "a model that nobody opens";
  model.resize(model.size() + (size_t{1} << 20) * flags.model_mib);
  LATHE_ASSIGN_OR_RETURN(*spec.mutable_model_digest(),
                         UploadBlob(channel, model));
  LATHE_ASSIGN_OR_RETURN(*spec.mutable_dataset()->mutable_digest(),
                         UploadBlob(channel, "data that nobody opens"));
  spec.set_agent(flags.agent);
  spec.set_trials(flags.trials);
  spec.set_seed(absl::ToUnixNanos(absl::Now()));
  LATHE_ASSIGN_OR_RETURN(
      const v1::Job job,
      SearchClient(channel).CreateJob(
          spec, absl::StrCat("load-", absl::ToUnixNanos(absl::Now()))));
  return Print({{"job", job.name()}});
}

nlohmann::json Summary(
    const std::vector<std::unique_ptr<LoadSession>>& sessions, double seconds) {
  LoadTally sum;
  for (const auto& session : sessions) {
    const LoadTally& tally = session->tally();
    sum.pairs += tally.pairs;
    sum.errors += tally.errors;
    sum.busy += tally.busy;
    sum.lease.AddAll(tally.lease);
    sum.completion.AddAll(tally.completion);
    sum.renewal.AddAll(tally.renewal);
  }
  const double workers = static_cast<double>(sessions.size());
  return {{"workers", sessions.size()},
          {"seconds", seconds},
          {"pairs", sum.pairs},
          {"errors", sum.errors},
          {"pairs_per_second", sum.pairs / seconds},
          {"utilisation", absl::ToDoubleSeconds(sum.busy) / workers / seconds},
          {"lease", sum.lease.ToJson()},
          {"completion", sum.completion.ToJson()},
          {"renewal", sum.renewal.ToJson()}};
}

absl::Status Work(const Flags& flags) {
  LoadOptions options;
  options.evaluation = absl::Milliseconds(flags.evaluation_ms);
  if (flags.renew_seconds > 0) {
    options.renewal_interval = absl::Seconds(flags.renew_seconds);
  }
  const auto channels =
      MakeChannels(flags.server, (flags.workers - 1) / kSessionsPerChannel + 1);
  LoadPhase phase;
  absl::BlockingCounter running(flags.workers);
  std::vector<std::unique_ptr<LoadSession>> sessions;
  for (int i = 0; i < flags.workers; ++i) {
    sessions.push_back(std::make_unique<LoadSession>(
        channels[i % channels.size()], options, &phase,
        [&running] { running.DecrementCount(); }));
  }
  for (const auto& session : sessions) session->Start();
  absl::SleepFor(absl::Seconds(flags.warm_up_seconds));
  const absl::Time start = absl::Now();
  phase.is_measuring = true;
  absl::SleepFor(absl::Seconds(flags.seconds));
  phase.is_measuring = false;
  phase.is_stopping = true;
  const double seconds = absl::ToDoubleSeconds(absl::Now() - start);
  running.Wait();
  return Print(Summary(sessions, seconds));
}

absl::Status Query(const Flags& flags) {
  LATHE_ASSIGN_OR_RETURN(
      const nlohmann::json latencies,
      MeasureQueries(MakeChannel(flags.server), flags.job, flags.repeats));
  return Print(latencies);
}

absl::Status Sqlite(const Flags& flags) {
  LATHE_ASSIGN_OR_RETURN(
      const nlohmann::json rates,
      MeasureBareCommits(flags.folder, flags.batch, flags.row_bytes,
                         absl::Seconds(flags.seconds)));
  return Print(rates);
}

CLI::App* AddCommand(CLI::App& app, const char* name, const char* text,
                     std::function<absl::Status()> run,
                     std::function<absl::Status()>& action) {
  CLI::App* command = app.add_subcommand(name, text);
  command->callback([&action, run = std::move(run)] { action = run; });
  return command;
}

int Main(int argc, char** argv) {
  Flags flags;
  std::function<absl::Status()> action;
  CLI::App app("Load for a lathe-server, and what to compare it with.");
  app.require_subcommand(1);
  app.fallthrough();
  app.add_option("--server", flags.server, "HOST:PORT");
  app.add_option("--seconds", flags.seconds, "how long");
  CLI::App* job = AddCommand(
      app, "job", "make a job", [&] { return MakeJob(flags); }, action);
  job->add_option("--trials", flags.trials);
  job->add_option("--agent", flags.agent);
  job->add_option("--model-mib", flags.model_mib, "size of the model");
  CLI::App* work = AddCommand(
      app, "work", "simulate workers", [&] { return Work(flags); }, action);
  work->add_option("--workers", flags.workers);
  work->add_option("--warm-up", flags.warm_up_seconds,
                   "seconds before it counts");
  work->add_option("--evaluation-ms", flags.evaluation_ms);
  work->add_option("--renew-seconds", flags.renew_seconds,
                   "keep the first lease, and renew it this often");
  CLI::App* query = AddCommand(
      app, "query", "time a user's queries", [&] { return Query(flags); },
      action);
  query->add_option("--job", flags.job)->required();
  query->add_option("--repeats", flags.repeats);
  AddCommand(
      app, "echo-server", "answer workers, with nothing behind",
      [&] { return ServeBareEcho(flags.server); }, action);
  CLI::App* sqlite = AddCommand(
      app, "sqlite", "commit rows, and nothing else",
      [&] { return Sqlite(flags); }, action);
  sqlite->add_option("--folder", flags.folder)->required();
  sqlite->add_option("--batch", flags.batch);
  sqlite->add_option("--row-bytes", flags.row_bytes);
  CLI11_PARSE(app, argc, argv);
  const absl::Status status = action();
  if (status.ok()) return 0;
  std::fprintf(stderr, "lathe-load: %s\n", status.ToString().c_str());
  return 1;
}

}  // namespace
}  // namespace lathe

int main(int argc, char** argv) { return lathe::Main(argc, argv); }

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "client/cli/kubernetes_pool.h"
#include "client/cli/pool_spec.h"
#include "client/cli/run_program.h"
#include "client/cli/slurm_pool.h"

namespace lathe {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

PoolSpec Spec() {
  PoolSpec spec;
  spec.server = "head:7070";
  spec.threads = 4;
  spec.worker_program = "/opt/lathe/bin/lathe-worker";
  return spec;
}

TEST(PoolSpec, RefusesWhatCouldNotStandInAScript) {
  PoolSpec spec = Spec();
  EXPECT_TRUE(CheckPoolSpec(spec).ok());
  for (const std::string text :
       {"a b", "a\n#SBATCH -N 9", "$(id)", "`id`", "x;y", "\"", "'"}) {
    spec.partition = text;
    EXPECT_TRUE(absl::IsInvalidArgument(CheckPoolSpec(spec))) << text;
  }
}

TEST(PoolSpec, RefusesANameThatASchedulerWouldNotTake) {
  EXPECT_TRUE(CheckPoolName("big-2").ok());
  for (const std::string name : {"", "Big", "a b", "-a", "a-", "a_b"}) {
    EXPECT_TRUE(absl::IsInvalidArgument(CheckPoolName(name))) << name;
  }
  EXPECT_TRUE(absl::IsInvalidArgument(CheckPoolName(std::string(41, 'a'))));
}

TEST(PoolSpec, NeedsAServer) {
  PoolSpec spec = Spec();
  spec.server.clear();
  EXPECT_TRUE(absl::IsInvalidArgument(CheckPoolSpec(spec)));
}

TEST(SlurmPool, TheScriptBecomesTheWorkerThatIsWarnedBeforeItsEnd) {
  PoolSpec spec = Spec();
  spec.partition = "cpu";
  spec.time_limit = "1-00:00:00";
  spec.is_exclusive = true;
  spec.logs = "/var/log/pool";
  const std::string script = SlurmScript(spec);
  EXPECT_THAT(script, HasSubstr("#SBATCH --job-name=lathe-pool-lathe\n"));
  EXPECT_THAT(script, HasSubstr("#SBATCH --signal=B:USR1@120\n"));
  EXPECT_THAT(script, HasSubstr("#SBATCH --requeue\n"));
  EXPECT_THAT(script, HasSubstr("#SBATCH --cpus-per-task=4\n"));
  EXPECT_THAT(script, HasSubstr("#SBATCH --partition=cpu\n"));
  EXPECT_THAT(script, HasSubstr("#SBATCH --time=1-00:00:00\n"));
  EXPECT_THAT(script, HasSubstr("#SBATCH --exclusive\n"));
  EXPECT_THAT(script, Not(HasSubstr("--constraint")));
  EXPECT_THAT(script,
              HasSubstr("\nexec '/opt/lathe/bin/lathe-worker' '--server' "
                        "'head:7070' '--threads' '4'\n"));
}

TEST(PoolSpec, WorkersGetCredentialsOfTheirOwn) {
  PoolSpec spec = Spec();
  spec.credentials.ca_file = "/tls/ca.pem";
  spec.credentials.certificate_file = "/tls/worker.pem";
  spec.credentials.key_file = "/tls/worker.key";
  spec.credentials.token_file = "/tls/worker.token";
  EXPECT_THAT(
      WorkerArguments(spec),
      ElementsAre("--server", "head:7070", "--threads", "4", "--tls-ca",
                  "/tls/ca.pem", "--tls-cert", "/tls/worker.pem", "--tls-key",
                  "/tls/worker.key", "--token-file", "/tls/worker.token"));
}

TEST(SlurmPool, ArgumentsOfTheWorkerReachItAsTheyAre) {
  PoolSpec spec = Spec();
  spec.worker_program = "printf";
  spec.server = "it's";
  spec.worker_arguments = {"$HOME `id` \"x\""};
  std::string script = SlurmScript(spec);
  // printf prints its first argument, a format, and no more.
  script.replace(script.find("'printf'"), 8, "printf '%s\\n'");
  const absl::StatusOr<ProgramResult> result = RunProgram({"bash"}, script);
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->output, "--server\nit's\n--threads\n4\n$HOME `id` \"x\"\n");
}

TEST(SlurmPool, EndsWaitingTasksBeforeRunningOnesAndTheLastFirst) {
  const std::vector<PoolTask> tasks = {{"1_0", "RUNNING"},
                                       {"1_1", "RUNNING", "w1", true},
                                       {"1_2", "RUNNING"},
                                       {"1_3", "PENDING"}};
  std::vector<std::string> ids;
  for (const PoolTask& task : InOrderOfEnding(tasks)) ids.push_back(task.id);
  EXPECT_THAT(ids, ElementsAre("1_3", "1_2", "1_0"));
}

TEST(KubernetesPool, TheManifestHoldsTheWorkersArgumentsAndItsCores) {
  PoolSpec spec = Spec();
  spec.image = "registry/lathe:1";
  spec.worker_arguments = {"--tls-ca", "/tls/ca.pem"};
  const nlohmann::json manifest = KubernetesManifest(spec, 7);
  EXPECT_EQ(manifest["kind"], "Deployment");
  EXPECT_EQ(manifest["spec"]["replicas"], 7);
  EXPECT_EQ(manifest["spec"]["selector"]["matchLabels"],
            manifest["spec"]["template"]["metadata"]["labels"]);
  const nlohmann::json& container =
      manifest["spec"]["template"]["spec"]["containers"][0];
  EXPECT_EQ(container["image"], "registry/lathe:1");
  EXPECT_EQ(
      container["args"],
      nlohmann::json({"--server", "head:7070", "--threads", "4", "--cache",
                      "/var/cache/lathe", "--tls-ca", "/tls/ca.pem"}));
  EXPECT_EQ(container["resources"]["limits"]["cpu"], "4");
  EXPECT_EQ(container["resources"]["limits"],
            container["resources"]["requests"]);
  EXPECT_EQ(container["env"][0]["name"], "LATHE_POD");
}

}  // namespace
}  // namespace lathe

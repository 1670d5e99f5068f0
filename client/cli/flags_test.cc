// The command line as users type it: what is accepted, and what it means.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

#include "client/cli/app.h"
#include "client/cli/bound_flags.h"
#include "client/cli/command.h"
#include "client/cli/exit_code.h"
#include "client/cli/job_flags.h"

namespace lathe {
namespace {

using ::testing::ElementsAre;

// `words` split at spaces, in the reverse order that CLI11 wants.
std::vector<std::string> Reversed(const std::string& words) {
  std::istringstream stream(words);
  std::vector<std::string> arguments;
  for (std::string word; stream >> word;) {
    arguments.insert(arguments.begin(), word);
  }
  return arguments;
}

// "" when `words` parse, else the error.
std::string ParseError(const std::string& words, Cli& cli) {
  CLI::App app;
  SetUpApp(app, cli);
  try {
    app.parse(Reversed(words));
  } catch (const CLI::ParseError& error) {
    return error.get_name();
  }
  return "";
}

TEST(CommandLine, AcceptsTheDocumentedForms) {
  // NOLINTBEGIN(bugprone-suspicious-missing-comma): some fill several lines.
  for (const char* words :
       {"--server h:1 list",
        "list --server h:1",
        "list -o json",
        "show 3 -o json",
        "-o json show jobs/3",
        "pause 3",
        "resume 3",
        "cancel 3",
        "delete 3",
        "watch 3",
        "events 3",
        "events 3 --after 7",
        "events 3 --follow",
        "trials 3 -o json",
        "frontier 3",
        "try 3 --plan uniform:int8:4:0.75",
        "best 3 --max-latency 0.8ms",
        "best 3 --max-latency 0.5x --max-size 100KB --min-accuracy -0.01",
        "best 3 --min-accuracy 0.9",
        "best 3 --min-accuracy=-0.01",
        "export 3 --trial 5 --to out.onnx",
        "export 3 --max-latency 0.5x --to out.onnx --format qdq",
        "export 3 --max-latency 0.5x --to out.lathe --format lathe",
        "report 3 --to r.html",
        "workers",
        "drain 1",
        "backup /tmp/b.db",
        "version",
        "submit --model m.onnx --data d.npz",
        "search --model m.onnx --data d.npz --trials 200 --agent rl "
        "--objective accuracy,latency,size --max-drop 0.01 --max-latency 0.5x "
        "--max-size 0.3x --threads 1 --batch 1 --workers 2 --seed 7 "
        "--state s --out o -o json",
        "search --model m.onnx --data x.npy,y.npy --scale 0.00392 "
        "--mean 0.485,0.456,0.406 --std 0.229,0.224,0.225 "
        "--channel-order bgr --layout nhwc --resize 256 --crop 224 "
        "--class-index c.txt --calibration 100 --search 400 "
        "--confirmation v.npz --report r.npz",
        "submit --model m.onnx --data d.npz --mean -0.5 --name n "
        "--request-id r"}) {
    Cli cli;
    EXPECT_EQ(ParseError(words, cli), "") << words;
    EXPECT_TRUE(cli.action) << words;
  }
  // NOLINTEND(bugprone-suspicious-missing-comma)
}

TEST(CommandLine, RejectsOtherForms) {
  for (const char* words : {"",
                            "frobnicate",
                            "show",
                            "show 3 4",
                            "list -o xml",
                            "list --colour",
                            "best",
                            "events 3 --after -1",
                            "export 3 --trial 5",
                            "export 3 --trial x --to o",
                            "export 3 --to o --format tflite",
                            "submit",
                            "submit --model m.onnx",
                            "submit --data d.npz",
                            "submit --model m --data d --trials 0",
                            "submit --model m --data d --trials many",
                            "submit --model m --data d --objective speed",
                            "submit --model m --data d --threads 0",
                            "submit --model m --data d --batch -1",
                            "submit --model m --data d --layout hwcn",
                            "submit --model m --data d --channel-order gbr",
                            "submit --model m --data d --scale big",
                            "submit --model m --data d --mean a,b",
                            "search --model m --data d --workers 0",
                            "drain",
                            "backup"}) {
    Cli cli;
    EXPECT_NE(ParseError(words, cli), "") << words;
  }
}

TEST(CommandLine, OutputAndServerHoldForEveryCommand) {
  Cli cli;
  ASSERT_EQ(ParseError("show 3 -o json --server host:7", cli), "");
  EXPECT_TRUE(cli.is_json());
  EXPECT_EQ(cli.server, "host:7");
}

TEST(CommandLine, WithoutAServerCommandsSayHowToNameOne) {
  Cli cli;
  const absl::Status status = cli.Connect().status();
  EXPECT_EQ(ExitCode(status), kExitUsage);
  EXPECT_THAT(std::string(status.message()), ::testing::HasSubstr("--server"));
}

v1::JobSpec SpecOf(const std::string& words) {
  CLI::App app;
  JobFlags flags;
  AddJobFlags(app, flags);
  app.parse(Reversed("--model m --data d " + words));
  const absl::StatusOr<v1::JobSpec> spec = MakeSpec(flags);
  EXPECT_TRUE(spec.ok()) << spec.status();
  return spec.ok() ? *spec : v1::JobSpec();
}

TEST(JobFlags, HaveTheDocumentedDefaults) {
  const v1::JobSpec spec = SpecOf("");
  EXPECT_EQ(spec.trials(), 200);
  EXPECT_EQ(spec.agent(), "rl");
  EXPECT_EQ(spec.threads(), 1);
  EXPECT_EQ(spec.batch(), 1);
  EXPECT_FALSE(spec.has_budget());
  EXPECT_THAT(spec.objectives(), ElementsAre("latency"));
}

TEST(JobFlags, BecomeTheSpec) {
  const v1::JobSpec spec = SpecOf(
      "--trials 20 --agent greedy --max-drop 0.01 --max-latency 0.5ms "
      "--max-size 0.3x --threads 2 --batch 8 --seed -3 --name n");
  EXPECT_EQ(spec.trials(), 20);
  EXPECT_EQ(spec.agent(), "greedy");
  EXPECT_DOUBLE_EQ(spec.budget().max_accuracy_drop(), 0.01);
  EXPECT_DOUBLE_EQ(spec.budget().max_latency_us(), 500);
  EXPECT_FALSE(spec.budget().has_max_latency_ratio());
  EXPECT_DOUBLE_EQ(spec.budget().max_size_ratio(), 0.3);
  EXPECT_EQ(spec.seed(), -3);
  EXPECT_EQ(spec.display_name(), "n");
}

TEST(JobFlags, ABoundOnTheSizeMakesItAnObjectiveUnlessOneIsNamed) {
  EXPECT_THAT(SpecOf("--max-size 0.3x").objectives(),
              ElementsAre("latency", "size"));
  EXPECT_THAT(
      SpecOf("--max-size 0.3x --objective accuracy,latency").objectives(),
      ElementsAre("latency"));
  EXPECT_THAT(SpecOf("--objective size,accuracy").objectives(),
              ElementsAre("size"));
  EXPECT_THAT(SpecOf("--objective accuracy").objectives(),
              ElementsAre("latency"));
}

TEST(JobFlags, ErrorsNameTheFlag) {
  JobFlags flags;
  flags.max_latency = "fast";
  EXPECT_THAT(std::string(MakeSpec(flags).status().message()),
              ::testing::StartsWith("--max-latency: latency = 'fast'"));
}

TEST(BoundFlags, BecomeTheRequest) {
  BoundFlags flags;
  flags.max_latency = "0.5x";
  flags.max_size = "100KB";
  flags.min_accuracy = "-0.01";
  const absl::StatusOr<v1::GetBestConfigurationRequest> request =
      MakeBestRequest("jobs/1", flags);
  ASSERT_TRUE(request.ok()) << request.status();
  EXPECT_EQ(request->name(), "jobs/1");
  EXPECT_DOUBLE_EQ(request->max_latency_ratio(), 0.5);
  EXPECT_FALSE(request->has_max_latency_us());
  EXPECT_EQ(request->max_size_bytes(), 100'000);
  EXPECT_DOUBLE_EQ(request->min_accuracy(), -0.01);
}

TEST(BoundFlags, ABudgetWithoutAnyDropStaysRelativeToTheBaseline) {
  v1::Budget budget;
  budget.set_max_accuracy_drop(0);
  EXPECT_LT(RequestOfBudget("jobs/1", budget).min_accuracy(), 0);
}

TEST(ExitCode, FollowsTheContract) {
  EXPECT_EQ(ExitCode(absl::OkStatus()), 0);
  EXPECT_EQ(ExitCode(absl::InvalidArgumentError("")), 2);
  EXPECT_EQ(ExitCode(absl::UnimplementedError("")), 2);
  EXPECT_EQ(ExitCode(absl::NotFoundError("")), 3);
  EXPECT_EQ(ExitCode(absl::PermissionDeniedError("")), 4);
  EXPECT_EQ(ExitCode(absl::UnauthenticatedError("")), 4);
  EXPECT_EQ(ExitCode(absl::UnavailableError("")), 5);
  EXPECT_EQ(ExitCode(absl::DeadlineExceededError("")), 5);
  EXPECT_EQ(ExitCode(absl::InternalError("")), 1);
  EXPECT_EQ(ExitCode(WithExitCode(absl::NotFoundError(""), 6)), 6);
}

}  // namespace
}  // namespace lathe

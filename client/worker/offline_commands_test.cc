// The offline commands from their arguments to their output.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cmath>
#include <nlohmann/json.hpp>
#include <set>

#include "absl/strings/str_cat.h"
#include "base/file.h"
#include "client/json_text.h"
#include "client/worker/bench_model.h"
#include "client/worker/command.h"
#include "compressor/onnx.h"
#include "compressor/reference_ops.h"
#include "data/npy.h"
#include "data/npz.h"
#include "evaluator/testing/small_job.h"

namespace lathe {
namespace {

using ::testing::HasSubstr;

struct CommandResult {
  int exit_code = 0;
  std::string message;
  std::string output;
};

// Parses and runs `arguments` as the program does.
CommandResult RunCommand(std::vector<std::string> arguments) {
  CLI::App app;
  ChosenCommand chosen;
  AddBench(app, chosen);
  AddEval(app, chosen);
  AddRun(app, chosen);
  AddTrial(app, chosen);
  AddSpace(app, chosen);
  AddTable(app, chosen);
  AddSensitivity(app, chosen);
  std::reverse(arguments.begin(), arguments.end());  // As CLI11 wants them.
  try {
    app.parse(arguments);
  } catch (const CLI::ParseError& error) {
    return {2, error.what(), ""};
  }
  ::testing::internal::CaptureStdout();
  const absl::Status status = chosen.run();
  return {ExitCodeOf(status), std::string(status.message()),
          ::testing::internal::GetCapturedStdout()};
}

nlohmann::json MustRunJson(std::vector<std::string> arguments) {
  arguments.insert(arguments.end(), {"-o", "json"});
  const CommandResult result = RunCommand(arguments);
  EXPECT_EQ(result.exit_code, 0) << result.message;
  const auto json = ParseJson(result.output);
  EXPECT_TRUE(json.ok()) << result.output;
  return json.ok() ? *json : nlohmann::json();
}

class OfflineCommands : public ::testing::Test {
 protected:
  void SetUp() override {
    const auto* test = ::testing::UnitTest::GetInstance()->current_test_info();
    folder_ = absl::StrCat(::testing::TempDir(), "/lathe_commands_", getpid(),
                           "_", test->name());
    ASSERT_TRUE(MakeFolders(folder_).ok());
    model_ = Write("small.onnx", *SerializeOnnx(SmallNetwork()));
    data_ = Write("small.npz", *SerializeDataset(SmallDataset(100)));
  }

  std::string Write(const std::string& name, const std::string& bytes) {
    std::string path = absl::StrCat(folder_, "/", name);
    EXPECT_TRUE(WriteFileAtomically(path, bytes).ok());
    return path;
  }

  // The preprocessing of SmallSpec.
  std::vector<std::string> WithData(std::vector<std::string> arguments) {
    arguments.insert(arguments.end(), {"--data", data_, "--scale",
                                       "0.00784313725490196", "--mean", "1"});
    return arguments;
  }

  std::string folder_;
  std::string model_;
  std::string data_;
};

TEST_F(OfflineCommands, BenchTellsLatencyAndSteps) {
  for (const std::string precision : {"f32", "int8", "as-is"}) {
    const nlohmann::json result = MustRunJson(
        {"bench", model_, "--precision", precision, "--repeat", "5"});
    EXPECT_GT(result["latency_us"], 0);
    EXPECT_LE(result["latency_us_p05"], result["latency_us"]);
    EXPECT_GE(result["latency_us_p95"], result["latency_us"]);
    EXPECT_GT(result["warm_us"], 0);
    EXPECT_GT(result["peak_bytes"], 0);
    EXPECT_GE(result["nodes"].size(), 4u);
    double sum = 0;
    for (const auto& node : result["nodes"]) {
      sum += node["us"].get<double>();
      EXPECT_TRUE(node.contains("name") && node.contains("kind") &&
                  node.contains("implementation"));
    }
    EXPECT_NEAR(sum, result["primitives_us"].get<double>(), 1e-6);
    EXPECT_NEAR(result["overhead_ratio"].get<double>() * sum,
                result["latency_us"].get<double>(), 1e-6);
  }
}

TEST_F(OfflineCommands, SizesThatAModelLeavesOpenComeFromFlagsOrData) {
  const std::string open = Write("open.onnx", SmallNetworkOfAnySize());
  const Graph network = SmallNetwork();
  const std::string name = network.value(network.inputs()[0]).name;
  const std::string sizes = name + "=3x8x8";
  EXPECT_EQ(MustRunJson({"space", open, "--sizes", sizes}),
            MustRunJson({"space", model_}));
  EXPECT_GT(MustRunJson({"bench", open, "--sizes", sizes, "--repeat",
                         "2"})["latency_us"],
            0);
  EXPECT_EQ(MustRunJson(WithData({"eval", open})),
            MustRunJson(WithData({"eval", model_})));
  const CommandResult missing = RunCommand({"space", open});
  EXPECT_EQ(missing.exit_code, 6);
  EXPECT_THAT(missing.message, HasSubstr("--sizes " + name + "="));
  for (const char* wrong : {"=3x8", "=4x8x8", "=3x8xa", "=3x8x-8", "=3x8x0"}) {
    EXPECT_NE(RunCommand({"space", open, "--sizes", name + wrong}).exit_code,
              0);
  }
}

TEST_F(OfflineCommands, EvalCountsAllSamplesAndComparesModels) {
  const nlohmann::json alone = MustRunJson(WithData({"eval", model_}));
  EXPECT_EQ(alone["metric"], "top1");
  EXPECT_EQ(alone["samples"], 100);
  EXPECT_EQ(alone["value"].get<double>(), alone["correct"].get<int>() / 100.0);
  const nlohmann::json against =
      MustRunJson(WithData({"eval", model_, "--against", model_}));
  EXPECT_EQ(against["agreement"], 1);
  EXPECT_EQ(against["kl_divergence"], 0);
  EXPECT_EQ(against["correct"], alone["correct"]);
}

TEST_F(OfflineCommands, SpacePrintsEachLayer) {
  const nlohmann::json space = MustRunJson({"space", model_});
  ASSERT_EQ(space["layers"].size(), 4u);
  EXPECT_EQ(space["layers"][0]["kind"], "conv");
  EXPECT_EQ(space["layers"][0]["group"], space["layers"][2]["group"]);
}

TEST_F(OfflineCommands, TableHasEachLayerPrecisionAndNeighbour) {
  const nlohmann::json table = MustRunJson({"table", model_});
  std::set<std::string> seen;
  for (const auto& entry : table["entries"]) {
    EXPECT_GT(entry["latency_us"], 0);
    seen.insert(entry["layer"].get<std::string>() + " " +
                entry["precision"].get<std::string>() + " from " +
                entry["source_precision"].get<std::string>());
  }
  const std::string layer =
      MustRunJson({"space", model_})["layers"][1]["name"].get<std::string>();
  EXPECT_TRUE(seen.count(layer + " f32 from f32"));
  EXPECT_TRUE(seen.count(layer + " int8 from int8"));
  EXPECT_TRUE(seen.count(layer + " int8 from f32"));
  EXPECT_TRUE(seen.count(layer + " f32 from int8"));
  EXPECT_EQ(table["profile"]["threads"], 1);
}

TEST_F(OfflineCommands, BenchAndTrialTakeThreadsAndBatches) {
  for (const std::string batch : {"1", "5"}) {
    const nlohmann::json bench =
        MustRunJson({"bench", model_, "--threads", "2", "--batch", batch,
                     "--repeat", "5", "--precision", "int8"});
    EXPECT_GT(bench["latency_us"], 0);
    const nlohmann::json point =
        MustRunJson(WithData({"trial", model_, "--plan", "uniform:int8",
                              "--threads", "2", "--batch", batch}));
    EXPECT_EQ(point["profile"]["threads"], 2);
    EXPECT_GT(point["latency_ratio"], 0);
  }
}

TEST_F(OfflineCommands, TrialMeasuresAPlanAndExportsTheModel) {
  const std::string out = folder_ + "/out.onnx";
  const nlohmann::json point = MustRunJson(WithData(
      {"trial", model_, "--plan", "uniform:int8:4:0.5", "--export", out}));
  EXPECT_EQ(point["samples"], 40);
  EXPECT_EQ(point["report_samples"], 30);
  EXPECT_EQ(point["plan"]["layers"].size(), 4u);
  EXPECT_EQ(point["plan"]["layers"][1]["channels"], 16);
  EXPECT_EQ(point["profile"]["threads"], 1);
  const auto bytes = ReadFile(out);
  ASSERT_TRUE(bytes.ok()) << bytes.status();
  EXPECT_EQ(point["size_bytes"], bytes->size());
  // A printed point is a plan, too.
  const std::string plan = Write("plan.json", DumpJson(point));
  const nlohmann::json again =
      MustRunJson(WithData({"trial", model_, "--plan", plan}));
  EXPECT_EQ(again["plan"], point["plan"]);
  EXPECT_EQ(again["correct"], point["correct"]);
  EXPECT_EQ(again["size_bytes"], point["size_bytes"]);
}

TEST_F(OfflineCommands, APackedModelIsSmallerAndAnswersAlike) {
  const std::string onnx = folder_ + "/a.onnx";
  const std::string packed = folder_ + "/a.lathe";
  const std::vector<std::string> trial = {"trial", model_, "--plan",
                                          "uniform:int8:4:0.5"};
  const auto exporting = [&trial](const std::string& path,
                                  const std::string& format) {
    std::vector<std::string> arguments = trial;
    arguments.insert(arguments.end(), {"--export", path, "--format", format});
    return arguments;
  };
  MustRunJson(WithData(exporting(onnx, "qdq")));
  const nlohmann::json point =
      MustRunJson(WithData(exporting(packed, "lathe")));
  const auto packed_bytes = ReadFile(packed);
  const auto onnx_bytes = ReadFile(onnx);
  ASSERT_TRUE(packed_bytes.ok() && onnx_bytes.ok());
  EXPECT_EQ(point["entropy_bytes"], packed_bytes->size());
  EXPECT_LT(packed_bytes->size(), onnx_bytes->size());
  const nlohmann::json eval =
      MustRunJson(WithData({"eval", packed, "--against", onnx}));
  EXPECT_EQ(eval["agreement"], 1.0);
  EXPECT_EQ(eval["kl_divergence"], 0.0);
}

TEST_F(OfflineCommands, RunWritesWhatTheReferenceOperatorsGive) {
  const auto inputs = RandomInputs(SmallNetwork(), 2);
  ASSERT_TRUE(inputs.ok()) << inputs.status();
  const std::string x = Write(
      "x.npy", NpyBytes("<f4", (*inputs)[0].shape(), (*inputs)[0].bytes()));
  const std::string out = folder_ + "/outputs";
  const CommandResult result =
      RunCommand({"run", model_, "--input", "input0=" + x, "--output", out});
  ASSERT_EQ(result.exit_code, 0) << result.message;
  const auto bytes = ReadFile(out + "/Gemm5_out.npy");
  ASSERT_TRUE(bytes.ok()) << bytes.status();
  const auto output = ParseNpy(*bytes);
  ASSERT_TRUE(output.ok()) << output.status();
  const auto expected = EvaluateGraph(SmallNetwork(), *inputs);
  ASSERT_TRUE(expected.ok()) << expected.status();
  EXPECT_EQ(output->shape, (*expected)[0].shape());
  const float* values = reinterpret_cast<const float*>(output->bytes.data());
  for (int64_t i = 0; i < 10; ++i) {
    // Float32 sums of 288 products differ by their order.
    EXPECT_NEAR(values[i], (*expected)[0].values<float>()[i], 1e-4);
  }
}

TEST_F(OfflineCommands, EndWithTheCodeOfWhatWentWrong) {
  const std::string bad = Write("bad.onnx", "not a model");
  const std::string missing = folder_ + "/missing.onnx";
  const std::string x = Write("y.npy", NpyBytes("<f4", {1, 2}, "12345678"));
  const std::string out = folder_ + "/outputs";
  Dataset unlabelled = SmallDataset(60);
  unlabelled.labels.clear();
  const std::string no_labels =
      Write("no_labels.npz", *SerializeDataset(unlabelled));
  struct Case {
    int exit_code;
    std::string message;
    std::vector<std::string> arguments;
  };
  const std::vector<Case> cases = {
      {2, "MODEL", {"bench"}},
      {2, "--precision", {"bench", model_, "--precision", "int4"}},
      {2, "--threads", {"bench", model_, "--threads", "0"}},
      {2, "--data", {"eval", model_}},
      {2, "no labels", {"eval", model_, "--data", no_labels}},
      {2, "--plan", WithData({"trial", model_})},
      {2, "--plan", WithData({"trial", model_, "--plan", "uniform:int9"})},
      {2, "plan.json",
       WithData({"trial", model_, "--plan", Write("plan.json", "{]")})},
      {2, "input0 is missing", {"run", model_, "--output", out}},
      {2,
       "no input of that name",
       {"run", model_, "--input", "a=" + x, "--input", "input0=" + x,
        "--output", out}},
      {2, "name=", {"run", model_, "--input", x, "--output", out}},
      {2,
       "the model wants",
       {"run", model_, "--input", "input0=" + x, "--output", out}},
      {3, "missing.onnx", {"space", missing}},
      {3, "missing.npz", {"eval", model_, "--data", folder_ + "/missing.npz"}},
      {3, "missing.json",
       WithData({"trial", model_, "--plan", folder_ + "/missing.json"})},
      {6, "bad.onnx", {"space", bad}},
      {6, "bad.onnx", {"bench", bad}},
      {6, "bad.onnx", {"run", bad, "--output", out}},
      {6, "bad.onnx", WithData({"eval", bad})},
      {6, "bad.onnx", WithData({"trial", bad, "--plan", "uniform:int8"})},
  };
  for (const Case& c : cases) {
    const CommandResult result = RunCommand(c.arguments);
    EXPECT_EQ(result.exit_code, c.exit_code)
        << c.message << ": " << result.message;
    EXPECT_THAT(result.message, HasSubstr(c.message));
    EXPECT_EQ(result.output, "");
  }
}

TEST(AtPrecision, MakesEveryLayerInt8WithoutZeroPoints) {
  const auto graph = AtPrecision(SmallNetwork(), "int8");
  ASSERT_TRUE(graph.ok()) << graph.status();
  int layers = 0;
  for (const Node& node : graph->nodes()) {
    layers += node.precision == v1::INT8;
    EXPECT_EQ(node.quantized_weights.has_value(), node.precision == v1::INT8);
  }
  EXPECT_EQ(layers, 4);
  for (const Value& value : graph->values()) {
    if (!value.grid.has_value()) continue;
    EXPECT_EQ(value.grid->zero_point, 0);
  }
  const auto plain = AtPrecision(*graph, "f32");
  ASSERT_TRUE(plain.ok()) << plain.status();
  for (const Node& node : plain->nodes()) {
    EXPECT_EQ(node.precision, v1::F32);
  }
}

}  // namespace
}  // namespace lathe

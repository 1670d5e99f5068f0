#include "client/plan_json.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "client/json_text.h"
#include "client/point_json.h"
#include "proto/plan.h"

namespace lathe {
namespace {

using ::testing::HasSubstr;

void AddOption(v1::Precision precision, int bits, v1::Layer& layer) {
  v1::PrecisionOption& option = *layer.add_precisions();
  option.set_precision(precision);
  option.set_weight_bits(bits);
}

void AddLayer(const std::string& name, int group,
              const std::vector<double>& ratios, v1::SearchSpace& space) {
  v1::Layer& layer = *space.add_layers();
  layer.set_name(name);
  layer.set_group(group);
  layer.set_out_channels(16);
  AddOption(v1::F32, 32, layer);
  AddOption(v1::INT8, 8, layer);
  AddOption(v1::INT8, 4, layer);
  for (const double ratio : ratios) layer.add_keep_ratios(ratio);
}

// Two layers of one group, and a third that is f32 only and keeps everything.
v1::SearchSpace Space() {
  v1::SearchSpace space;
  AddLayer("a", 0, {1, 0.75, 0.5}, space);
  AddLayer("b", 0, {1, 0.75, 0.5}, space);
  AddLayer("c", 1, {1}, space);
  space.mutable_layers(2)->clear_precisions();
  AddOption(v1::F32, 32, *space.mutable_layers(2));
  return space;
}

absl::StatusOr<v1::CompressionPlan> Parse(const std::string& text) {
  return PlanFromJson(*ParseJson(text), Space());
}

std::string Describe(const v1::CompressionPlan& plan) {
  std::string text;
  for (const v1::LayerChoice& choice : plan.layers()) {
    text += std::to_string(choice.precision()) + "/" +
            std::to_string(choice.weight_bits()) + "/" +
            std::to_string(static_cast<int>(choice.keep_ratio() * 100)) + " ";
  }
  return text;
}

struct Accepted {
  const char* json;
  // Precision number / bits / percent kept of each layer.
  const char* plan;
};

TEST(PlanFromJson, AcceptsWholeAndPartialPlans) {
  const Accepted cases[] = {
      {R"({"layers": []})", "1/32/100 1/32/100 1/32/100 "},
      {R"({"layers": [{"name": "b", "precision": "int8", "weight_bits": 4,
                       "keep_ratio": 0.75}]})",
       "1/32/75 3/4/75 1/32/100 "},
      {R"({"plan": {"layers": [{"name": "a", "precision": "int8"}]}})",
       "3/8/100 1/32/100 1/32/100 "},
      {R"({"layers": [{"name": "a", "weight_bits": 8}]})",
       "3/8/100 1/32/100 1/32/100 "},
      {R"({"layers": [{"name": "a", "keep_ratio": 0.6, "channels": 3}]})",
       "1/32/50 1/32/50 1/32/100 "},
      {R"({"layers": [{"name": "c", "keep_ratio": 0.1}]})",
       "1/32/100 1/32/100 1/32/100 "},
      {R"({"layers": [{"name": "a", "precision": null}]})",
       "1/32/100 1/32/100 1/32/100 "},
  };
  for (const Accepted& test : cases) {
    const absl::StatusOr<v1::CompressionPlan> plan = Parse(test.json);
    ASSERT_TRUE(plan.ok()) << test.json << ": " << plan.status();
    EXPECT_EQ(Describe(*plan), test.plan) << test.json;
  }
}

TEST(PlanFromJson, RejectsByNameAndRule) {
  const struct {
    const char* json;
    const char* message;
  } cases[] = {
      {"[]", "array \"layers\""},
      {"3", "array \"layers\""},
      {"{}", "array \"layers\""},
      {R"({"layers": {}})", "array \"layers\""},
      {R"({"layers": [3]})", "string \"name\""},
      {R"({"layers": [{"precision": "int8"}]})", "string \"name\""},
      {R"({"layers": [{"name": 3}]})", "string \"name\""},
      {R"({"layers": [{"name": "x"}]})", "layer x: not one of the 3"},
      {R"({"layers": [{"name": "a"}, {"name": "a"}]})", "layer a: named twice"},
      {R"({"layers": [{"name": "a", "precision": "fp4"}]})",
       "layer a: precision"},
      {R"({"layers": [{"name": "a", "precision": 8}]})", "not a string"},
      {R"({"layers": [{"name": "a", "weight_bits": 8.5}]})", "weight_bits"},
      {R"({"layers": [{"name": "a", "weight_bits": 1e30}]})", "weight_bits"},
      {R"({"layers": [{"name": "a", "weight_bits": -9223372036854775808}]})",
       "weight_bits"},
      {R"({"layers": [{"name": "a", "weight_bits": "8"}]})", "weight_bits"},
      {R"({"layers": [{"name": "a", "precision": "int8", "weight_bits": 5}]})",
       "layer a: int8 with 5-bit"},
      {R"({"layers": [{"name": "c", "precision": "int8"}]})", "layer c: int8"},
      {R"({"layers": [{"name": "a", "keep_ratio": 0}]})", "(0, 1]"},
      {R"({"layers": [{"name": "a", "keep_ratio": 1.01}]})", "(0, 1]"},
      {R"({"layers": [{"name": "a", "keep_ratio": "half"}]})", "(0, 1]"},
      {R"({"layers": [{"name": "a", "keep_ratio": 1},
                      {"name": "b", "keep_ratio": 0.5}]})",
       "its group 0"},
  };
  for (const auto& test : cases) {
    const absl::StatusOr<v1::CompressionPlan> plan = Parse(test.json);
    ASSERT_EQ(plan.status().code(), absl::StatusCode::kInvalidArgument)
        << test.json;
    EXPECT_THAT(std::string(plan.status().message()), HasSubstr(test.message))
        << test.json;
  }
}

TEST(UniformPlan, SnapsTheRatioToEachGroupAndLeavesUnableLayers) {
  EXPECT_EQ(Describe(*UniformPlan("uniform:int8:4:0.7", Space())),
            "3/4/75 3/4/75 1/32/100 ");
  EXPECT_EQ(Describe(*UniformPlan("uniform:int8", Space())),
            "3/8/100 3/8/100 1/32/100 ");
  EXPECT_EQ(Describe(*UniformPlan("uniform:f32:32:0.5", Space())),
            "1/32/50 1/32/50 1/32/100 ");
}

TEST(UniformPlan, RejectsOtherForms) {
  for (const char* text :
       {"", "uniform", "int8:8:1", "uniform:fp4", "uniform:int8:x",
        "uniform:int8:5", "uniform:bf16", "uniform:int8:8:0",
        "uniform:int8:8:nan", "uniform:int8:8:1.5", "uniform:int8:8:1:1"}) {
    EXPECT_EQ(UniformPlan(text, Space()).status().code(),
              absl::StatusCode::kInvalidArgument)
        << text;
  }
}

TEST(SpaceToJson, ListsChoicesAndChannelsOfEachLayer) {
  const nlohmann::json layer = SpaceToJson(Space())["layers"][0];
  EXPECT_EQ(layer["name"], "a");
  EXPECT_EQ(layer["weight_bits"], nlohmann::json({32, 8, 4}));
  EXPECT_EQ(layer["keep_ratios"], nlohmann::json({1.0, 0.75, 0.5}));
  EXPECT_EQ(layer["channels"], nlohmann::json({16, 12, 8}));
  EXPECT_EQ(layer["group"], 0);
}

}  // namespace
}  // namespace lathe

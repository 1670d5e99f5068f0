#include "evaluator/model_inputs.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "compressor/op_shapes.h"
#include "evaluator/testing/small_job.h"

namespace lathe {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

// Adds the inputs "input0" and "input1" of [batch, 2].
Graph TwoInputs() {
  NetBuilder net(1);
  const ValueId a = net.Input({kDynamic, 2});
  const ValueId b = net.Input({kDynamic, 2});
  return net.Build({net.Op("Add", {a, b})});
}

Array Bytes(std::vector<int64_t> shape, const std::string& bytes) {
  Array array;
  array.type = Array::Type::kUint8;
  array.shape = std::move(shape);
  array.bytes = bytes;
  return array;
}

TEST(ModelInputs, BindsArraysByNameAndASoleInputToX) {
  Dataset dataset;
  dataset.inputs["input1"] = Bytes({1, 2}, "\x03\x04");
  dataset.inputs["input0"] = Bytes({1, 2}, "\x01\x02");
  const auto two = ModelInputs::Bind(TwoInputs(), &dataset, {});
  ASSERT_TRUE(two.ok()) << two.status();
  const auto tensors = two->Tensors(std::vector<int64_t>{0, 0});
  ASSERT_TRUE(tensors.ok()) << tensors.status();
  EXPECT_THAT((*tensors)[0].values<float>(), ElementsAre(1, 2, 1, 2));
  EXPECT_THAT((*tensors)[1].values<float>(), ElementsAre(3, 4, 3, 4));
  const Dataset small = SmallDataset(2);
  EXPECT_TRUE(ModelInputs::Bind(SmallNetwork(), &small, {}).ok());
}

TEST(ModelInputs, GivesEachTypeItsNearestNumbers) {
  Dataset dataset;
  dataset.inputs["x"] = Bytes({1, 3}, std::string("\x00\x01\xc8", 3));
  for (const DataType type :
       {DataType::kFloat64, DataType::kInt8, DataType::kUint8, DataType::kInt16,
        DataType::kUint16, DataType::kInt32, DataType::kUint32,
        DataType::kInt64, DataType::kUint64, DataType::kBool}) {
    NetBuilder net(1);
    const ValueId input = net.Input({kDynamic, 3});
    GraphParts parts = net.Build({net.Op("Identity", {input})}).parts();
    parts.values[input].type = type;
    const auto inputs =
        ModelInputs::Bind(*Graph::Create(std::move(parts)), &dataset, {});
    ASSERT_TRUE(inputs.ok()) << inputs.status();
    const Tensor tensor = (*inputs->Tensors(std::vector<int64_t>{0}))[0];
    ASSERT_EQ(tensor.type(), type);
    std::vector<double> numbers;
    VisitType(type, [&](auto zero) {
      for (const auto value : tensor.values<decltype(zero)>()) {
        numbers.push_back(static_cast<double>(value));
      }
      return 0;
    });
    const double last = type == DataType::kInt8   ? 127
                        : type == DataType::kBool ? 1
                                                  : 200;
    EXPECT_THAT(numbers, ElementsAre(0, 1, last)) << DataTypeName(type);
  }
}

TEST(ModelInputs, NamesAnInputWithoutAnArray) {
  Dataset dataset;
  dataset.inputs["x"] = Bytes({1, 2}, "ab");
  const auto inputs = ModelInputs::Bind(TwoInputs(), &dataset, {});
  ASSERT_FALSE(inputs.ok());
  EXPECT_EQ(inputs.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(inputs.status().message()), HasSubstr("\"input0\""));
}

TEST(ModelInputs, NamesBothShapesThatDoNotFit) {
  Dataset dataset;
  dataset.inputs["x"] = Bytes({1, 3, 8, 9}, std::string(216, 'a'));
  const auto inputs = ModelInputs::Bind(SmallNetwork(), &dataset, {});
  ASSERT_FALSE(inputs.ok());
  EXPECT_EQ(inputs.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(inputs.status().message()), HasSubstr("[3, 8, 9]"));
  EXPECT_THAT(std::string(inputs.status().message()), HasSubstr("[3, 8, 8]"));
}

TEST(ModelInputs, FillsABatchByRepeatingTheLastSample) {
  NetBuilder net(1);
  const ValueId input = net.Input({kDynamic, 2});
  const Graph graph = net.Build({net.Op("Relu", {input})});
  Dataset dataset;
  dataset.inputs["x"] = Bytes({2, 2}, "\x01\x02\x03\x04");
  const auto inputs = ModelInputs::Bind(graph, &dataset, {});
  ASSERT_TRUE(inputs.ok()) << inputs.status();
  const auto executor = Executor::Compile(graph, {/*batch=*/3});
  ASSERT_TRUE(executor.ok()) << executor.status();
  ASSERT_TRUE(inputs->Fill(std::vector<int64_t>{0, 1}, executor->get()).ok());
  const float* values = static_cast<float*>((*executor)->input(0));
  EXPECT_THAT(std::vector<float>(values, values + 6),
              ElementsAre(1, 2, 3, 4, 3, 4));
}

}  // namespace
}  // namespace lathe

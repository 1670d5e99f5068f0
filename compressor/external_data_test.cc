#include "compressor/external_data.h"

#include <sys/stat.h>
#include <unistd.h>

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/file.h"
#include "compressor/model_file.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "onnx/onnx_pb.h"

namespace lathe {
namespace {

using ::testing::HasSubstr;

// y = x + c, with c's numbers in `location` from `offset` on.
std::string ModelWithWeightsAt(const std::string& location,
                               const std::string& offset,
                               const std::string& length) {
  onnx::ModelProto model;
  model.set_ir_version(8);
  model.add_opset_import()->set_version(13);
  onnx::GraphProto* graph = model.mutable_graph();
  onnx::TensorProto* weights = graph->add_initializer();
  weights->set_name("c");
  weights->set_data_type(onnx::TensorProto::FLOAT);
  weights->add_dims(2);
  weights->set_data_location(onnx::TensorProto::EXTERNAL);
  const auto set = [weights](const char* key, const std::string& value) {
    auto* entry = weights->add_external_data();
    entry->set_key(key);
    entry->set_value(value);
  };
  set("location", location);
  if (!offset.empty()) set("offset", offset);
  if (!length.empty()) set("length", length);
  for (auto* value : {graph->add_input(), graph->add_output()}) {
    auto* tensor = value->mutable_type()->mutable_tensor_type();
    tensor->set_elem_type(onnx::TensorProto::FLOAT);
    tensor->mutable_shape()->add_dim()->set_dim_value(2);
  }
  graph->mutable_input(0)->set_name("x");
  graph->mutable_output(0)->set_name("y");
  onnx::NodeProto* add = graph->add_node();
  add->set_op_type("Add");
  add->add_input("x");
  add->add_input("c");
  add->add_output("y");
  return model.SerializeAsString();
}

class ExternalData : public ::testing::Test {
 protected:
  void SetUp() override {
    const auto* test = ::testing::UnitTest::GetInstance()->current_test_info();
    folder_ = absl::StrCat(::testing::TempDir(), "/lathe_external_", getpid(),
                           "_", test->name());
    ASSERT_TRUE(MakeFolders(folder_ + "/model/parts").ok());
    const std::vector<float> numbers = {9, 1, 2};
    const std::string bytes(reinterpret_cast<const char*>(numbers.data()), 12);
    for (const char* name : {"/secret", "/model/weights", "/model/parts/a"}) {
      ASSERT_TRUE(WriteFileAtomically(folder_ + name, bytes).ok());
    }
  }

  absl::StatusOr<std::string> Read(const std::string& location,
                                   const std::string& offset = "4",
                                   const std::string& length = "8") {
    const std::string path = folder_ + "/model/model.onnx";
    EXPECT_TRUE(
        WriteFileAtomically(path, ModelWithWeightsAt(location, offset, length))
            .ok());
    return ReadModelFile(path);
  }

  void ExpectRefused(const absl::StatusOr<std::string>& read,
                     const std::string& why) {
    ASSERT_FALSE(read.ok());
    EXPECT_THAT(std::string(read.status().message()), HasSubstr("\"c\""));
    EXPECT_THAT(std::string(read.status().message()), HasSubstr(why));
  }

  std::string folder_;
};

TEST_F(ExternalData, IsReadFromFilesBelowTheModel) {
  for (const char* location : {"weights", "parts/a", "./weights"}) {
    const auto bytes = Read(location);
    ASSERT_TRUE(bytes.ok()) << bytes.status();
    const auto graph = ParseModel(*bytes);
    ASSERT_TRUE(graph.ok()) << graph.status();
    const auto constant = graph->value(graph->nodes()[0].inputs[1]).constant;
    ASSERT_TRUE(constant.has_value());
    EXPECT_THAT(constant->values<float>(), ::testing::ElementsAre(1, 2));
  }
}

TEST_F(ExternalData, MayGoToTheEndOfItsFile) {
  EXPECT_TRUE(ParseModel(*Read("weights", "4", "")).ok());
  EXPECT_FALSE(ParseModel(*Read("weights", "", "")).ok());  // Three numbers.
}

TEST_F(ExternalData, NeverLeavesTheFolder) {
  for (const std::string& location :
       {std::string("../secret"), folder_ + "/secret", std::string("/dev/zero"),
        std::string("parts/../../secret"), std::string(""),
        std::string("..\\secret"), std::string("a\0b", 3)}) {
    ExpectRefused(Read(location), "does not lie in the model's folder");
  }
}

TEST_F(ExternalData, FollowsNoLinks) {
  ASSERT_EQ(symlink("../secret", (folder_ + "/model/link").c_str()), 0);
  ASSERT_EQ(symlink("..", (folder_ + "/model/up").c_str()), 0);
  ExpectRefused(Read("link"), "link");
  EXPECT_FALSE(Read("up/secret").ok());
}

TEST_F(ExternalData, ThatIsNotThereIsRefused) {
  ExpectRefused(Read("weights", "4", "12"), "12 bytes, not 12 from 4 on");
  ExpectRefused(Read("weights", "400", "1"), "12 bytes");
  ExpectRefused(Read("weights", "-4", "8"), "offset");
  ExpectRefused(Read("weights", "0", "99999999999999999999"), "length");
  ExpectRefused(Read("none"), "none");
  ExpectRefused(Read("parts"), "not a regular file");
  ASSERT_EQ(mkfifo((folder_ + "/model/pipe").c_str(), 0600), 0);
  ExpectRefused(Read("pipe"), "not a regular file");
}

TEST(InlineExternalData, BoundsTheWhole) {
  const auto greedy = [](const ExternalPart& part) {
    EXPECT_LT(part.most_bytes, int64_t{1} << 31);
    EXPECT_EQ(part.length, int64_t{1} << 40);
    return absl::StatusOr<std::string>(
        absl::ResourceExhaustedError("too much"));
  };
  EXPECT_FALSE(
      InlineExternalData(
          ModelWithWeightsAt("w", "0", absl::StrCat(int64_t{1} << 40)), greedy)
          .ok());
}

TEST(InlineExternalData, LeavesOtherBytesAlone) {
  const auto none = [](const ExternalPart& part) {
    return absl::StatusOr<std::string>(absl::InternalError(part.location));
  };
  for (const std::string& bytes : {std::string(), std::string("location"),
                                   std::string("no model at all")}) {
    EXPECT_EQ(*InlineExternalData(bytes, none), bytes);
  }
}

}  // namespace
}  // namespace lathe

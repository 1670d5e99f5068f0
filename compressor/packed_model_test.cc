#include "compressor/packed_model.h"

#include <random>
#include <string>

#include "base/file.h"
#include "compressor/model_file.h"
#include "compressor/onnx.h"
#include "compressor/testing/random_nets.h"
#include "compressor/testing/sample_models.h"
#include "compressor/testing/tensor_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace lathe {
namespace {

using ::testing::HasSubstr;

std::string OnnxOf(const Graph& graph) {
  const auto bytes = SerializeOnnx(graph);
  EXPECT_TRUE(bytes.ok()) << bytes.status();
  return bytes.ok() ? *bytes : std::string();
}

std::string Pack(const std::string& onnx, bool has_entropy = true) {
  PackOptions options;
  options.has_entropy = has_entropy;
  const auto packed = PackModel(onnx, options);
  EXPECT_TRUE(packed.ok()) << packed.status();
  return packed.ok() ? *packed : std::string();
}

void ExpectUnpacks(const std::string& packed, const std::string& onnx) {
  const auto unpacked = UnpackModel(packed);
  ASSERT_TRUE(unpacked.ok()) << unpacked.status();
  EXPECT_TRUE(*unpacked == onnx);
}

TEST(PackedModel, HoldsTheFileByteForByte) {
  for (int seed = 0; seed < 20; ++seed) {
    const std::string onnx = OnnxOf(RandomNet(seed));
    ExpectUnpacks(Pack(onnx), onnx);
    ExpectUnpacks(Pack(onnx, /*has_entropy=*/false), onnx);
    EXPECT_EQ(Pack(onnx), Pack(onnx));
  }
}

TEST(PackedModel, OpensAsTheSameGraph) {
  const std::string onnx = OnnxOf(RandomNet(3));
  const auto from_onnx = OpenModel(onnx);
  const auto from_packed = OpenModel(Pack(onnx));
  ASSERT_TRUE(from_onnx.ok() && from_packed.ok());
  EXPECT_TRUE(AreEqual(*from_onnx, *from_packed));
}

TEST(PackedModel, HoldsEverySampleModel) {
  if (!HasSampleData()) GTEST_SKIP() << kNoSampleData;
  for (const std::string& name : SampleModels()) {
    const auto onnx = ReadFile(SampleDataDir() + "/" + name);
    ASSERT_TRUE(onnx.ok());
    const std::string packed = Pack(*onnx);
    EXPECT_LT(packed.size(), onnx->size()) << name;
    ExpectUnpacks(packed, *onnx);
  }
}

TEST(PackedModel, RefusesEveryTruncationAndEveryFlippedByte) {
  const std::string packed = Pack(OnnxOf(RandomNet(1)));
  for (size_t size = 0; size < packed.size(); size += 1 + size / 64) {
    EXPECT_FALSE(UnpackModel(absl::string_view(packed).substr(0, size)).ok());
  }
  std::mt19937 random(1);
  int refused = 0;
  for (size_t at = 0; at < packed.size(); at += 1 + at / 64) {
    std::string flipped = packed;
    flipped[at] = static_cast<char>(flipped[at] ^ (1 << random() % 8));
    const auto unpacked = UnpackModel(flipped);
    if (unpacked.ok()) continue;
    EXPECT_EQ(unpacked.status().code(), absl::StatusCode::kInvalidArgument);
    ++refused;
  }
  EXPECT_GT(refused, 64);
}

TEST(PackedModel, SaysThatAnotherVersionIsAnotherVersion) {
  std::string packed = Pack(OnnxOf(RandomNet(1)));
  packed[7] = 2;
  EXPECT_THAT(UnpackModel(packed).status().ToString(), HasSubstr("version 2"));
}

TEST(PackedModel, RefusesAFileThatStandsForTooMuch) {
  // One section that claims 2^40 bytes.
  std::string packed("LATHEPK\x01");
  packed += std::string(32, 'd');
  packed += std::string("\x00\x00\x80\x80\x80\x80\x80\x20\x01\x00\x00", 11);
  EXPECT_THAT(UnpackModel(packed).status().ToString(),
              HasSubstr("a number above"));
}

TEST(PackedModel, RefusesToPackWhatIsNoModel) {
  EXPECT_FALSE(PackModel("this is text, not a model").ok());
}

}  // namespace
}  // namespace lathe

#include "client/cli/job_inputs.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <string>

#include "base/digest.h"
#include "base/file.h"
#include "client/cli/exit_code.h"
#include "data/dataset.h"

namespace lathe {
namespace {

using ::testing::HasSubstr;

class JobInputsTest : public ::testing::Test {
 protected:
  void SetUp() override {
    const char* folder = std::getenv("LATHE_DATA_DIR");
    data_ = folder != nullptr ? folder : LATHE_SOURCE_DIR "/../shared/data";
    if (!FileExists(data_ + "/cifar10/resnet8.onnx")) {
      GTEST_SKIP() << data_ << "/cifar10 is missing (set LATHE_DATA_DIR)";
    }
    folder_ = ::testing::TempDir() + "/job_inputs_test";
    ASSERT_TRUE(MakeFolders(folder_).ok());
  }

  // Writes `samples` images of `side` with the given label as an .npz.
  std::string WriteData(int64_t samples, int64_t side, int64_t label) {
    Dataset dataset;
    Array& x = dataset.inputs["x"];
    x.type = Array::Type::kUint8;
    x.shape = {samples, 3, side, side};
    x.bytes.assign(samples * 3 * side * side, '\x10');
    dataset.labels.assign(samples, label);
    std::string path = folder_ + "/data.npz";
    EXPECT_TRUE(WriteFileAtomically(path, *SerializeDataset(dataset)).ok());
    return path;
  }

  JobFlags Flags(const std::string& data_path) const {
    JobFlags flags;
    flags.model_path = data_ + "/cifar10/resnet8.onnx";
    flags.data.path = data_path;
    return flags;
  }

  std::string data_;
  std::string folder_;
};

TEST_F(JobInputsTest, ARuleThatFitsNoLayerIsAnErrorBeforeAnythingIsSent) {
  JobFlags flags = Flags(WriteData(60, 32, 9));
  flags.compression.add_keep_f32("kind:linear");
  EXPECT_TRUE(ReadJobInputs(flags).ok());
  flags.compression.add_keep_f32("nonesuch*");
  EXPECT_THAT(std::string(ReadJobInputs(flags).status().message()),
              HasSubstr("keep_f32: 'nonesuch*' fits no layer"));
}

TEST_F(JobInputsTest, DigestsNameTheBytes) {
  JobFlags flags = Flags(WriteData(60, 32, 9));
  flags.data.mean = {1, 2, 3};
  flags.data.splits["search"] = "20";
  const absl::StatusOr<JobInputs> inputs = ReadJobInputs(flags);
  ASSERT_TRUE(inputs.ok()) << inputs.status();
  EXPECT_EQ(inputs->spec.model_digest(), Sha256Hex(inputs->model_bytes));
  const v1::DatasetSpec& dataset = inputs->spec.dataset();
  EXPECT_EQ(dataset.scale(), 1);
  EXPECT_EQ(dataset.search_samples(), 20);
  EXPECT_THAT(dataset.mean(), ::testing::ElementsAre(1, 2, 3));
  ASSERT_EQ(inputs->data.blobs.count(dataset.digest()), 1u);
  EXPECT_EQ(Sha256Hex(inputs->data.blobs.at(dataset.digest())),
            dataset.digest());
}

TEST_F(JobInputsTest, ASplitMayHaveAFileOfItsOwn) {
  JobFlags flags = Flags(WriteData(60, 32, 9));
  const std::string report = folder_ + "/report.npz";
  ASSERT_TRUE(
      WriteFileAtomically(report, *ReadFile(WriteData(10, 32, 1))).ok());
  flags.data.path = WriteData(60, 32, 9);
  flags.data.splits["report"] = report;
  const absl::StatusOr<JobInputs> inputs = ReadJobInputs(flags);
  ASSERT_TRUE(inputs.ok()) << inputs.status();
  EXPECT_EQ(inputs->data.blobs.count(inputs->spec.dataset().report_digest()),
            1u);
  EXPECT_NE(inputs->spec.dataset().report_digest(),
            inputs->spec.dataset().digest());
}

TEST_F(JobInputsTest, ErrorsLeadToTheDocumentedExitCodes) {
  const std::string broken = folder_ + "/broken.onnx";
  ASSERT_TRUE(WriteFileAtomically(broken, "not a model").ok());
  const std::string good_data = WriteData(60, 32, 9);

  JobFlags flags = Flags(good_data);
  flags.model_path = folder_ + "/missing.onnx";
  EXPECT_EQ(ExitCode(ReadJobInputs(flags).status()), kExitNotFound);
  flags.model_path = broken;
  EXPECT_EQ(ExitCode(ReadJobInputs(flags).status()), kExitFailed);
  EXPECT_EQ(ExitCode(ReadJobInputs(Flags(folder_ + "/missing.npz")).status()),
            kExitNotFound);
  EXPECT_EQ(ExitCode(ReadJobInputs(Flags(broken)).status()), kExitFailed);

  const absl::Status shape =
      ReadJobInputs(Flags(WriteData(60, 28, 9))).status();
  EXPECT_EQ(ExitCode(shape), kExitFailed);
  EXPECT_THAT(std::string(shape.message()), HasSubstr("28"));
  const absl::Status label =
      ReadJobInputs(Flags(WriteData(60, 32, 10))).status();
  EXPECT_EQ(ExitCode(label), kExitFailed);
  EXPECT_THAT(std::string(label.message()), HasSubstr("10"));

  JobFlags scaled = Flags(WriteData(60, 32, 9));
  scaled.data.scale = 0;
  EXPECT_EQ(ExitCode(ReadJobInputs(scaled).status()), kExitUsage);
  scaled = Flags(scaled.data.path);
  scaled.data.mean = {1, 2};
  EXPECT_EQ(ExitCode(ReadJobInputs(scaled).status()), kExitFailed);
  EXPECT_EQ(ExitCode(ReadJobInputs(Flags(WriteData(49, 32, 9))).status()),
            kExitFailed);
  scaled = Flags(WriteData(60, 32, 9));
  scaled.data.splits["search"] = "61";
  EXPECT_EQ(ExitCode(ReadJobInputs(scaled).status()), kExitFailed);
  scaled.data.splits["search"] = "0";
  EXPECT_EQ(ExitCode(ReadJobInputs(scaled).status()), kExitUsage);
}

}  // namespace
}  // namespace lathe

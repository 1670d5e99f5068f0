#include "data/dataset.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <limits>

#include "absl/strings/str_cat.h"
#include "base/file.h"
#include "data/npy.h"
#include "data/npz.h"
#include "data/testing/arrays.h"
#include "data/testing/pictures.h"

namespace lathe {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class DatasetFiles : public ::testing::Test {
 protected:
  void SetUp() override {
    const auto* test = ::testing::UnitTest::GetInstance()->current_test_info();
    folder_ = absl::StrCat(::testing::TempDir(), "/lathe_data_", getpid(), "_",
                           test->name());
    ASSERT_TRUE(MakeFolders(folder_).ok());
  }

  std::string Write(const std::string& name, const std::string& bytes) {
    std::string path = absl::StrCat(folder_, "/", name);
    const size_t slash = path.rfind('/');
    EXPECT_TRUE(MakeFolders(path.substr(0, slash)).ok());
    EXPECT_TRUE(WriteFileAtomically(path, bytes).ok());
    return path;
  }

  std::string folder_;
};

std::string Record(char label, char pixel) {
  return std::string(1, label) + std::string(3072, pixel);
}

TEST_F(DatasetFiles, ReadsAnNpzWithLabelsOfAnyIntegerType) {
  const Array x = FloatArray({2, 2}, {1, 2, 3, 4});
  const std::vector<Array> labels = {
      ByteArray({2}, {3, 1}),
      ArrayOf<int8_t>(Array::Type::kInt8, {2, 1}, {3, 1}),
      ArrayOf<int32_t>(Array::Type::kInt32, {2}, {3, 1}),
      ArrayOf<int64_t>(Array::Type::kInt64, {2}, {3, 1})};
  for (const Array& y : labels) {
    const auto dataset =
        ReadDataset(Write("d.npz", *SerializeNpz({{"x", x}, {"y", y}})));
    ASSERT_TRUE(dataset.ok()) << dataset.status();
    EXPECT_EQ(dataset->SampleCount(), 2);
    EXPECT_THAT(dataset->labels, ElementsAre(3, 1));
    EXPECT_EQ(dataset->inputs.size(), 1u);
  }
}

TEST_F(DatasetFiles, ReadsSeveralInputsByName) {
  const auto dataset = ReadDataset(Write(
      "d.npz", *SerializeNpz({{"ids", ByteArray({2, 3}, {1, 2, 3, 4, 5, 6})},
                              {"mask", FloatArray({2}, {0, 1})}})));
  ASSERT_TRUE(dataset.ok()) << dataset.status();
  EXPECT_EQ(dataset->inputs.count("ids"), 1u);
  EXPECT_EQ(dataset->inputs.count("mask"), 1u);
  EXPECT_TRUE(dataset->labels.empty());
}

TEST_F(DatasetFiles, ReadsAPairOfNpyFiles) {
  const std::string x = Write("x.npy", SerializeNpy(ByteArray({2, 1}, {7, 8})));
  const std::string y = Write("y.npy", SerializeNpy(ByteArray({2}, {0, 4})));
  const auto pair = ReadDataset(absl::StrCat(x, ",", y));
  ASSERT_TRUE(pair.ok()) << pair.status();
  EXPECT_THAT(pair->labels, ElementsAre(0, 4));
  const auto alone = ReadDataset(x);
  ASSERT_TRUE(alone.ok()) << alone.status();
  EXPECT_TRUE(alone->labels.empty());
}

TEST_F(DatasetFiles, FindsIdxLabelsBesideTheImages) {
  const std::string images(
      "\0\0\x08\x03\0\0\0\x02\0\0\0\x01\0\0\0\x02"
      "abcd",
      20);
  const std::string labels("\0\0\x08\x01\0\0\0\x02\x05\x06", 10);
  const std::string path = Write("t-images-idx3-ubyte", images);
  const auto unlabelled = ReadDataset(path);
  ASSERT_TRUE(unlabelled.ok()) << unlabelled.status();
  EXPECT_TRUE(unlabelled->labels.empty());
  Write("t-labels-idx1-ubyte", labels);
  const auto labelled = ReadDataset(path);
  ASSERT_TRUE(labelled.ok()) << labelled.status();
  EXPECT_THAT(labelled->labels, ElementsAre(5, 6));
}

TEST_F(DatasetFiles, ReadsCifar10FilesAndFolders) {
  const std::string first = Write("c/data_batch_1.bin", Record(3, 'a'));
  Write("c/data_batch_2.bin", Record(9, 'b') + Record(0, 'c'));
  const auto file = ReadDataset(first);
  ASSERT_TRUE(file.ok()) << file.status();
  EXPECT_THAT(file->inputs.at("x").shape, ElementsAre(1, 3, 32, 32));
  const auto folder = ReadDataset(folder_ + "/c");
  ASSERT_TRUE(folder.ok()) << folder.status();
  EXPECT_THAT(folder->labels, ElementsAre(3, 9, 0));
  EXPECT_EQ(folder->inputs.at("x").bytes[3072], 'b');
}

TEST_F(DatasetFiles, ReadsAFolderOfPictures) {
  Write("p/cat/2.png", EncodePng(PlainImage(8, 10, 1, 2, 3)));
  Write("p/cat/1.PNG", EncodePng(PlainImage(12, 8, 4, 5, 6)));
  Write("p/dog/a.jpg", EncodeJpeg(PlainImage(16, 16, 200, 200, 200)));
  Write("p/dog/notes.txt", "not a picture");
  ReadOptions options;
  options.resize = 4;
  options.crop = 4;
  const auto numbered = ReadDataset(folder_ + "/p", options);
  ASSERT_TRUE(numbered.ok()) << numbered.status();
  EXPECT_THAT(numbered->inputs.at("x").shape, ElementsAre(3, 3, 4, 4));
  EXPECT_THAT(numbered->labels, ElementsAre(0, 0, 1));
  // Planes, in the alphabetical order of the files.
  EXPECT_EQ(numbered->inputs.at("x").bytes[0], 4);
  EXPECT_EQ(numbered->inputs.at("x").bytes[16], 5);
  options.class_index_path = Write("index.txt", "dog 7\ncat 2\n");
  const auto indexed = ReadDataset(folder_ + "/p", options);
  ASSERT_TRUE(indexed.ok()) << indexed.status();
  EXPECT_THAT(indexed->labels, ElementsAre(2, 2, 7));
}

TEST_F(DatasetFiles, RefusesFoldersThatAreNoDataset) {
  Write("sizes/a/1.png", EncodePng(PlainImage(8, 10, 1, 2, 3)));
  Write("sizes/a/2.png", EncodePng(PlainImage(8, 8, 1, 2, 3)));
  Write("empty/a/readme.txt", "");
  Write("none/readme.txt", "");
  Write("broken/a/1.png", "\x89PNG");
  Write("index.txt", "b 1\n");
  Write("bad_index.txt", "a one\n");
  Write("double_index.txt", "a 1\na 2\n");
  struct Case {
    std::string folder;
    ReadOptions options;
    std::string message;
  };
  const std::vector<Case> cases = {
      {"sizes", {}, "--resize"},
      {"sizes", {/*resize=*/0, /*crop=*/9, ""}, "smaller than the crop"},
      {"sizes", {0, 0, folder_ + "/index.txt"}, "no line"},
      {"sizes", {0, 0, folder_ + "/bad_index.txt"}, "bad_index.txt:1"},
      {"sizes", {0, 0, folder_ + "/double_index.txt"}, "second line"},
      {"empty", {}, "no .jpg"},
      {"none", {}, "no sub-folder"},
      {"broken", {}, "damaged PNG"},
  };
  for (const Case& c : cases) {
    const auto dataset = ReadDataset(folder_ + "/" + c.folder, c.options);
    ASSERT_FALSE(dataset.ok()) << c.folder;
    EXPECT_EQ(dataset.status().code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(std::string(dataset.status().message()), HasSubstr(c.message));
  }
}

TEST_F(DatasetFiles, RefusesFilesThatAreNoDataset) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const Array x = FloatArray({2, 2}, {1, 2, 3, 4});
  const std::string x_path = Write("x.npy", SerializeNpy(x));
  const auto npz = [&](const std::string& name,
                       const std::map<std::string, Array>& arrays) {
    return Write(name + ".npz", *SerializeNpz(arrays));
  };
  struct Case {
    std::string path;
    std::string message;
  };
  const std::vector<Case> cases = {
      {npz("no_x", {{"y", ByteArray({1}, {1})}}), "no array of samples"},
      {npz("counts", {{"x", x}, {"y", ByteArray({3}, {1, 1, 1})}}),
       "3 labels for 2 samples"},
      {npz("inputs", {{"a", x}, {"b", ByteArray({1}, {1})}}),
       "1 samples where others have 2"},
      {npz("float_y", {{"x", x}, {"y", FloatArray({2}, {0, 1})}}), "integer"},
      {npz("hot_y", {{"x", x}, {"y", ByteArray({2, 2}, {0, 1, 1, 0})}}),
       "one number a sample"},
      {npz("scalar_y", {{"x", x}, {"y", ByteArray({}, {1})}}),
       "one number a sample"},
      {npz("negative",
           {{"x", x},
            {"y", ArrayOf<int8_t>(Array::Type::kInt8, {2}, {0, -1})}}),
       "label -1 of sample 1"},
      {npz("nan", {{"x", FloatArray({2, 1}, {1, nan})}}), "element 1 is nan"},
      {npz("zero", {{"x", FloatArray({0, 4}, {})}}), "has no values"},
      {npz("scalar", {{"x", FloatArray({}, {1})}}), "single number"},
      {Write("text.csv", "1,2,3"), "unknown format"},
      {Write("half.npz", "PK\x03\x04"), "zip"},
      {Write("short.bin", "abc"), "3 bytes"},
      {Write("empty.bin", ""), "0 bytes"},
      {Write("label.bin", Record(10, 'a')), "label 10"},
      {x_path + ",", "not a pair"},
      {x_path + "," + x_path + "," + x_path, "not a pair"},
      {x_path + "," + x_path, "integer"},
  };
  for (const Case& c : cases) {
    const auto dataset = ReadDataset(c.path);
    ASSERT_FALSE(dataset.ok()) << c.path;
    EXPECT_EQ(dataset.status().code(), absl::StatusCode::kInvalidArgument)
        << dataset.status();
    EXPECT_THAT(std::string(dataset.status().message()), HasSubstr(c.message));
  }
  for (const std::string& missing :
       {folder_ + "/missing.npz", x_path + "," + folder_ + "/missing.npy"}) {
    const auto dataset = ReadDataset(missing);
    EXPECT_EQ(dataset.status().code(), absl::StatusCode::kNotFound);
    EXPECT_THAT(std::string(dataset.status().message()), HasSubstr("missing"));
  }
}

TEST(Dataset, SerialisesToEqualBytesAndBack) {
  Dataset dataset;
  dataset.inputs["x"] = ByteArray({2, 2}, {1, 2, 3, 4});
  dataset.labels = {5, 6};
  const auto bytes = SerializeDataset(dataset);
  ASSERT_TRUE(bytes.ok()) << bytes.status();
  const auto again = ParseDataset(*bytes);
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(again->labels, dataset.labels);
  EXPECT_EQ(again->inputs.at("x").bytes, dataset.inputs["x"].bytes);
  EXPECT_EQ(*SerializeDataset(*again), *bytes);
}

TEST(Dataset, RefusesToSerialiseAnInputCalledY) {
  Dataset dataset;
  dataset.inputs["y"] = ByteArray({1, 2}, {1, 2});
  dataset.labels = {5};
  EXPECT_EQ(SerializeDataset(dataset).status().code(),
            absl::StatusCode::kInvalidArgument);
}

TEST(CheckLabels, NamesTheSampleAndTheRule) {
  Dataset dataset;
  dataset.labels = {0, 9, 10};
  EXPECT_TRUE(CheckLabels(dataset, 11).ok());
  const absl::Status status = CheckLabels(dataset, 10);
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()),
              HasSubstr("label 10 of sample 2, not in [0, 9]"));
}

}  // namespace
}  // namespace lathe

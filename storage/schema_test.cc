#include "storage/schema.h"

#include <fstream>
#include <iterator>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/file.h"
#include "gtest/gtest.h"
#include "storage/testing/store_fixture.h"

namespace lathe::storage {
namespace {

using absl::StatusCode;

constexpr const char* kFirst = "CREATE TABLE a (x INTEGER) STRICT;";
constexpr const char* kSecond =
    "CREATE TABLE b (y INTEGER) STRICT; INSERT INTO b SELECT x FROM a;";
constexpr const char* kBroken = "CREATE TABLE b (y INTEGER); SELECT nonsense;";

class Schema : public testing::Test {
 protected:
  Schema() : path_(FreshFolder() + "/lathe.db") { Reopen(); }

  void Reopen() {
    db_.reset();
    db_ = Database::Open(path_, Database::Mode::kCreate).value();
  }
  absl::Status MigrateTo(const std::vector<const char*>& scripts) {
    return Migrate(*db_, scripts);
  }
  int64_t Int(const std::string& sql) {
    return db_->QueryInt(sql).value().value_or(-1);
  }

  const std::string path_;
  std::unique_ptr<Database> db_;
};

TEST_F(Schema, AnEmptyFileBecomesTheNewestVersionWithoutACopy) {
  EXPECT_EQ(SchemaVersion(*db_).value(), 0);
  ASSERT_TRUE(MigrateTo({kFirst, kSecond}).ok());
  EXPECT_EQ(SchemaVersion(*db_).value(), 2);
  EXPECT_FALSE(FileExists(path_ + ".schema-0"));
}

TEST_F(Schema, AnOlderFileIsCopiedAndKeepsItsRows) {
  ASSERT_TRUE(MigrateTo({kFirst}).ok());
  ASSERT_TRUE(db_->Run("INSERT INTO a VALUES (7)").ok());
  Reopen();
  ASSERT_TRUE(MigrateTo({kFirst, kSecond}).ok());
  EXPECT_EQ(Int("SELECT y FROM b"), 7);
  auto copy =
      Database::Open(path_ + ".schema-1", Database::Mode::kReadOnly).value();
  EXPECT_EQ(SchemaVersion(*copy).value(), 1);
  EXPECT_EQ(copy->QueryInt("SELECT x FROM a").value(), 7);
}

TEST_F(Schema, AnUpToDateFileIsLeftAlone) {
  ASSERT_TRUE(MigrateTo({kFirst}).ok());
  ASSERT_TRUE(MigrateTo({kFirst}).ok());
  EXPECT_FALSE(FileExists(path_ + ".schema-1"));
}

TEST_F(Schema, ANewerFileIsRefusedAndLeftAlone) {
  ASSERT_TRUE(MigrateTo({kFirst, kSecond}).ok());
  const absl::Status status = MigrateTo({kFirst});
  EXPECT_EQ(status.code(), StatusCode::kFailedPrecondition);
  EXPECT_NE(status.message().find("version 2"), std::string::npos);
  EXPECT_EQ(SchemaVersion(*db_).value(), 2);
}

TEST_F(Schema, AMigrationThatFailsChangesNothingAndCanBeRepeated) {
  ASSERT_TRUE(MigrateTo({kFirst}).ok());
  ASSERT_FALSE(MigrateTo({kFirst, kBroken}).ok());
  EXPECT_EQ(SchemaVersion(*db_).value(), 1);
  EXPECT_EQ(Int("SELECT count(*) FROM sqlite_schema WHERE name = 'b'"), 0);
  EXPECT_TRUE(MigrateTo({kFirst, kSecond}).ok());
}

TEST_F(Schema, AnotherProgramsDatabaseIsRefused) {
  ASSERT_TRUE(db_->RunScript("CREATE TABLE theirs (x)").ok());
  EXPECT_EQ(MigrateTo({kFirst}).code(), StatusCode::kFailedPrecondition);
  EXPECT_EQ(Int("SELECT count(*) FROM sqlite_schema"), 1);
}

// A fixture of every released schema: a dump of a store of that version.
class ReleasedSchema : public testing::TestWithParam<int> {};

INSTANTIATE_TEST_SUITE_P(All, ReleasedSchema, testing::Values(1, 2, 3));

TEST_P(ReleasedSchema, OpensWithItsContents) {
  const std::string folder = FreshFolder();
  const std::string dump =
      ReadFile(absl::StrCat(LATHE_SOURCE_DIR "/storage/testing/schema_",
                            GetParam(), ".sql"))
          .value();
  ASSERT_TRUE(Database::Open(folder + "/lathe.db", Database::Mode::kCreate)
                  .value()
                  ->RunScript(dump)
                  .ok());
  auto store = OpenStore({folder});
  ASSERT_TRUE(store.ok()) << store.status();
  EXPECT_EQ(CountsText((*store)->GetJob("jobs/1").value().counts()),
            "1 1 1 0 0 0");
  const v1::Trial measured = (*store)->GetTrial("jobs/1/trials/0").value();
  EXPECT_EQ(measured.measurement().accuracy(), 0.75);
  EXPECT_EQ(measured.reward().value(), 0.5);
  EXPECT_EQ(measured.artifact_digest(), "artifact");
  EXPECT_EQ((*store)->FrontierNumbers("jobs/1").value(),
            (std::vector<int64_t>{0}));
  EXPECT_EQ((*store)->ActiveAttempts().value()[0].fence, 2);
  EXPECT_EQ((*store)->EventsAfter("jobs/1", 0, 100).value().size(), 7u);
  EXPECT_EQ((*store)->RecordWorker("session", {}, {}).value().name,
            "workers/1");
}

}  // namespace
}  // namespace lathe::storage

// Roles and tokens: who may call what.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/digest.h"
#include "base/file.h"
#include "proto/artifact.pb.h"
#include "proto/search.pb.h"
#include "proto/worker.pb.h"
#include "server/audit_log.h"
#include "server/retry_holds.h"
#include "server/roles.h"
#include "server/tls.h"
#include "server/token_table.h"

namespace lathe {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

const absl::Time kNow = absl::FromUnixSeconds(1'800'000'000);

std::vector<std::string> AllMethods() {
  std::vector<std::string> methods;
  for (const auto* file :
       {v1::Job::descriptor()->file(), v1::GetJobRequest::descriptor()->file(),
        v1::LeaseTrialsRequest::descriptor()->file(),
        v1::ServerInfo::descriptor()->file()}) {
    for (int s = 0; s < file->service_count(); ++s) {
      const auto* service = file->service(s);
      for (int m = 0; m < service->method_count(); ++m) {
        methods.push_back(
            absl::StrCat(service->name(), ".", service->method(m)->name()));
      }
    }
  }
  return methods;
}

TEST(Roles, EveryMethodOfTheProtosIsSomebodys) {
  EXPECT_GE(AllMethods().size(), 30u);
  for (const std::string& method : AllMethods()) {
    EXPECT_TRUE(MayCall(Role::kAdmin, method)) << method;
  }
}

TEST(Roles, AreWhatTheirNamesSay) {
  EXPECT_TRUE(MayCall(Role::kViewer, "Search.GetJob"));
  EXPECT_FALSE(MayCall(Role::kViewer, "Search.CancelJob"));
  EXPECT_FALSE(MayCall(Role::kViewer, "Artifacts.Write"));
  EXPECT_TRUE(MayCall(Role::kUser, "Search.CreateJob"));
  EXPECT_FALSE(MayCall(Role::kUser, "Workers.LeaseTrials"));
  EXPECT_FALSE(MayCall(Role::kUser, "Admin.Backup"));
  EXPECT_TRUE(MayCall(Role::kWorker, "Workers.CompleteTrial"));
  EXPECT_FALSE(MayCall(Role::kWorker, "Search.ListJobs"));
  EXPECT_FALSE(MayCall(Role::kWorker, "Admin.ListWorkers"));
  EXPECT_FALSE(MayCall(Role::kAdmin, "Search.Unheard"));
  for (const char* name : {"viewer", "user", "worker", "admin"}) {
    EXPECT_EQ(RoleName(*ParseRole(name)), name);
  }
  EXPECT_FALSE(ParseRole("Admin").has_value());
}

TEST(Roles, OfACertificateIsThatOfItsOnlyUnitWhichNamesOne) {
  EXPECT_EQ(RoleOfSubject("CN=w7,OU=worker,O=lathe"), Role::kWorker);
  EXPECT_EQ(RoleOfSubject("OU=room 4,OU=admin, CN=x"), Role::kAdmin);
  EXPECT_EQ(RoleOfSubject("CN=w7+OU=user"), Role::kUser);
  for (const char* subject :
       {"", "CN=w7", "CN=OU=admin", "CN=x\\,OU=admin", "O=a\\\\\\,OU=admin",
        "OU=worker,OU=admin", "OU=Admin", "OU=admin\\+x", "XOU=admin"}) {
    EXPECT_FALSE(RoleOfSubject(subject).has_value()) << subject;
  }
}

class Tokens : public ::testing::Test {
 protected:
  Tokens() {
    std::string pattern =
        (std::filesystem::temp_directory_path() / "lathe-access-XXXXXX")
            .string();
    folder_ = mkdtemp(pattern.data());
    path_ = folder_ + "/tokens";
  }
  ~Tokens() override { std::filesystem::remove_all(folder_); }

  std::string Add(const std::string& name, Role role,
                  absl::Duration lifetime = absl::Hours(1)) {
    return AddToken(path_, {name, role, kNow + lifetime}).value();
  }

  std::string folder_;
  std::string path_;
};

TEST_F(Tokens, AreFoundByWhatOnlyTheirOwnerHas) {
  const std::string alice = Add("alice", Role::kUser);
  const std::string bob = Add("bob", Role::kAdmin);
  EXPECT_NE(alice, bob);
  EXPECT_GE(alice.size(), 40u);
  const auto table = TokenTable::Open(path_).value();
  EXPECT_EQ(table->Find(alice, kNow, kNow)->name, "alice");
  EXPECT_EQ(table->Find(bob, kNow, kNow)->role, Role::kAdmin);
  for (const std::string& wrong :
       {std::string(), std::string("lathe-"), alice + "x", Sha256Hex(alice)}) {
    EXPECT_TRUE(
        absl::IsUnauthenticated(table->Find(wrong, kNow, kNow).status()));
  }
}

TEST_F(Tokens, StandInTheFileAsHashesThatOthersCannotRead) {
  const std::string token = Add("alice", Role::kUser);
  const std::string text = ReadFile(path_).value();
  EXPECT_THAT(text, ::testing::Not(HasSubstr(token)));
  EXPECT_THAT(text, HasSubstr(Sha256Hex(token)));
  struct stat info;
  ASSERT_EQ(stat(path_.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 077, 0u);
}

TEST_F(Tokens, Expire) {
  const std::string token = Add("alice", Role::kUser, absl::Seconds(10));
  const auto table = TokenTable::Open(path_).value();
  EXPECT_TRUE(table->Find(token, kNow + absl::Seconds(9), kNow).ok());
  const absl::Status expired =
      table->Find(token, kNow + absl::Seconds(10), kNow).status();
  EXPECT_TRUE(absl::IsUnauthenticated(expired));
  EXPECT_THAT(std::string(expired.message()), HasSubstr("alice"));
}

TEST_F(Tokens, ComeAndGoWithTheirFileAndSurviveABrokenOne) {
  const std::string alice = Add("alice", Role::kUser);
  const auto table = TokenTable::Open(path_).value();
  absl::Time steady = kNow;
  const std::string bob = Add("bob", Role::kUser);
  EXPECT_TRUE(table->Find(bob, kNow, steady += absl::Seconds(2)).ok());
  ASSERT_TRUE(WriteFileAtomically(path_, "nonsense\n").ok());
  EXPECT_TRUE(table->Find(bob, kNow, steady += absl::Seconds(2)).ok());
  ASSERT_TRUE(WriteFileAtomically(path_, "# nobody\n").ok());
  EXPECT_FALSE(table->Find(bob, kNow, steady += absl::Seconds(2)).ok());
  EXPECT_FALSE(table->Find(alice, kNow, steady).ok());
}

TEST_F(Tokens, LinesOfOtherFormsAreRefusedByNumber) {
  const std::string digest(64, 'a');
  const std::string time = "2027-01-01T00:00:00Z";
  EXPECT_EQ(ParseTokens("")->size(), 0u);
  EXPECT_EQ(ParseTokens(
                absl::StrCat("# c\n\n a user ", time, " ", digest, " # x\r\n"))
                ->size(),
            1u);
  for (const std::string& line :
       {std::string("alice"), absl::StrCat("alice king ", time, " ", digest),
        absl::StrCat("al/ice user ", time, " ", digest),
        absl::StrCat("a user tomorrow ", digest),
        absl::StrCat("a user ", time, " abc"),
        absl::StrCat("a user ", time, " ", digest, " x"),
        absl::StrCat("a user ", time, " ", digest, "\nb user ", time, " ",
                     digest)}) {
    const absl::Status status = ParseTokens("\n" + line).status();
    EXPECT_TRUE(absl::IsInvalidArgument(status)) << line;
    EXPECT_THAT(std::string(status.message()), HasSubstr("line ")) << line;
  }
  EXPECT_TRUE(absl::IsInvalidArgument(
      AddToken(path_, {"a b", Role::kUser, kNow}).status()));
  EXPECT_TRUE(absl::IsNotFound(TokenTable::Open(folder_ + "/no").status()));
}

TEST_F(Tokens, TheAuditLogKeepsALineALineAndDropsAFlood) {
  const std::string path = folder_ + "/audit.log";
  const auto log = AuditLog::Open(path).value();
  Caller caller;
  caller.name = "eve\"\n{";
  log->Write({caller, "Search.CancelJob", "jobs/1\n", absl::OkStatus()}, kNow);
  for (int i = 0; i < 1000; ++i) {
    log->Write({caller, "Search.GetJob", "", absl::UnauthenticatedError("no")},
               kNow);
  }
  log->Write({caller, "Search.CancelJob", "jobs/2", absl::OkStatus()}, kNow);
  const std::vector<std::string> lines =
      absl::StrSplit(ReadFile(path).value(), '\n', absl::SkipEmpty());
  ASSERT_EQ(lines.size(), 102u);
  EXPECT_THAT(lines[0], HasSubstr("\"caller\":\"eve\\\"\\u000a{\""));
  EXPECT_THAT(lines[0], HasSubstr("\"code\":\"OK\""));
  EXPECT_THAT(lines[101], HasSubstr("\"refusals_dropped\":900"));
}

FailedAttempt Failure(v1::OutcomeKind kind, int attempts) {
  return {"jobs/1/trials/1", "a", kind, attempts};
}

TEST(RetryHolds, ATransientFailureRestsTwiceAsLongEachTime) {
  RetryHolds holds({absl::Seconds(1), absl::Seconds(5), absl::Seconds(10)});
  for (const auto& [attempts, seconds] : std::vector<std::pair<int, int>>{
           {1, 1}, {2, 2}, {3, 4}, {4, 5}, {90, 5}}) {
    holds.Add(Failure(v1::TRANSIENT, attempts), kNow);
    const absl::Time end = kNow + absl::Seconds(seconds);
    EXPECT_THAT(holds.HeldFrom("b", 1, end - absl::Milliseconds(1)),
                ElementsAre("jobs/1/trials/1"));
    EXPECT_TRUE(holds.HeldFrom("b", 1, end).empty()) << attempts;
  }
}

TEST(RetryHolds, OthersComeFirstWhereThereAreOthers) {
  RetryHolds holds({absl::Seconds(1), absl::Seconds(5), absl::Seconds(10)});
  holds.Add(Failure(v1::CRASH, 1), kNow);
  EXPECT_TRUE(holds.HeldFrom("b", 2, kNow).empty());
  EXPECT_TRUE(holds.HeldFrom("a", 1, kNow).empty());
  EXPECT_EQ(holds.HeldFrom("a", 2, kNow + absl::Seconds(9)).size(), 1u);
  EXPECT_TRUE(holds.HeldFrom("a", 2, kNow + absl::Seconds(10)).empty());
}

TEST(RetryHolds, TellOnceThatARestHasEnded) {
  RetryHolds holds({absl::Seconds(1), absl::Seconds(5), absl::Seconds(10)});
  holds.Add(Failure(v1::TRANSIENT, 1), kNow);
  EXPECT_FALSE(holds.TakeEnded(kNow));
  EXPECT_TRUE(holds.TakeEnded(kNow + absl::Seconds(1)));
  EXPECT_FALSE(holds.TakeEnded(kNow + absl::Seconds(2)));
  EXPECT_TRUE(holds.TakeEnded(kNow + absl::Seconds(11)));
  EXPECT_FALSE(holds.TakeEnded(kNow + absl::Seconds(12)));
}

}  // namespace
}  // namespace lathe

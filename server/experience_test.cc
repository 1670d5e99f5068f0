#include "server/experience.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <memory>
#include <string>
#include <utility>

#include "absl/time/time.h"
#include "storage/sqlite_store.h"

namespace lathe {
namespace {

// Has nothing but experience.
class LeavingAgent : public Agent {
 public:
  explicit LeavingAgent(std::string experience)
      : experience_(std::move(experience)) {}
  absl::StatusOr<v1::Proposal> Propose() override {
    return absl::OutOfRangeError("nothing");
  }
  void Learn(const v1::Trial&) override {}
  void Dismiss(const v1::Trial&) override {}
  v1::Reward Evaluate(const v1::Trial&) const override { return {}; }
  std::string Experience() const override { return experience_; }

 private:
  const std::string experience_;
};

class ExperienceTest : public ::testing::Test {
 protected:
  ExperienceTest() {
    std::string pattern =
        (std::filesystem::temp_directory_path() / "lathe-experience-XXXXXX")
            .string();
    folder_ = mkdtemp(pattern.data());
    StoreOptions options;
    options.folder = folder_;
    store_ = *OpenStore(options);
  }
  ~ExperienceTest() override {
    store_.reset();
    std::filesystem::remove_all(folder_);
  }

  v1::Job Create(const std::string& id, const std::string& earlier = "") {
    v1::JobSpec spec;
    spec.set_agent("rl");
    if (!earlier.empty()) spec.add_warm_start_jobs(earlier);
    return *store_->CreateJob(spec, id, absl::UnixEpoch());
  }
  std::string Begin(const v1::Job& job) {
    return BeginAgentContext(job, v1::Trial(), *store_)->experience;
  }
  std::string Read(const v1::Job& job) {
    return ReadAgentContext(job, v1::Trial(), *store_)->experience;
  }

  // What the agent of `job` leaves at its end.
  void Leave(const v1::Job& job, const std::string& experience) {
    AgentDriver driver(std::make_unique<LeavingAgent>(experience), {});
    ASSERT_TRUE(SaveExperience(job.name(), driver, *store_).ok());
  }

  std::string folder_;
  std::unique_ptr<Store> store_;
};

TEST_F(ExperienceTest, IsThatOfTheEarlierJobWhenTheAgentStarted) {
  const v1::Job earlier = Create("a");
  Leave(earlier, "policy 1");
  const v1::Job job = Create("b", earlier.name());
  EXPECT_EQ(Begin(job), "policy 1");
  // Whatever becomes of the earlier job, a replay begins with the same.
  Leave(earlier, "policy 2");
  EXPECT_EQ(Begin(job), "policy 1");
  EXPECT_EQ(Read(job), "policy 1");
  Leave(job, "its own");
  EXPECT_EQ(Begin(job), "policy 1");
  EXPECT_EQ(Begin(Create("c", job.name())), "its own");
}

TEST_F(ExperienceTest, WhatIsLeftAfterTheStartComesTooLate) {
  const v1::Job earlier = Create("a");
  const v1::Job job = Create("b", earlier.name());
  EXPECT_EQ(Begin(job), "");
  Leave(earlier, "policy");
  EXPECT_EQ(Begin(job), "");
}

}  // namespace
}  // namespace lathe

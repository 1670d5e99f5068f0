#include "server/frontier_tracker.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <random>
#include <set>

#include "absl/strings/str_cat.h"
#include "agent/frontier.h"
#include "storage/sqlite_store.h"

namespace lathe {
namespace {

v1::Trial Trial(int64_t number, double accuracy, double latency_ratio,
                int64_t size_bytes) {
  v1::Trial trial;
  trial.set_number(number);
  trial.set_state(v1::TRIAL_MEASURED);
  v1::Measurement& m = *trial.mutable_measurement();
  m.set_accuracy(accuracy);
  m.set_latency_ratio(latency_ratio);
  m.set_size_bytes(size_bytes);
  m.set_packed_bytes(size_bytes);
  return trial;
}

// A store with one job without trials.
class FrontierTrackerTest : public ::testing::Test {
 protected:
  FrontierTrackerTest() {
    std::string pattern =
        (std::filesystem::temp_directory_path() / "lathe-frontier-XXXXXX")
            .string();
    folder_ = mkdtemp(pattern.data());
    StoreOptions options;
    options.folder = folder_;
    store_ = *OpenStore(options);
    v1::JobSpec spec;
    spec.add_objectives("latency");
    job_ = *store_->CreateJob(spec, "request", absl::UnixEpoch());
  }
  ~FrontierTrackerTest() override {
    store_.reset();
    std::filesystem::remove_all(folder_);
  }

  std::string folder_;
  std::unique_ptr<Store> store_;
  v1::Job job_;
};

TEST_F(FrontierTrackerTest, IsReadAgainAfterItWasForgotten) {
  FrontierTracker tracker(store_.get());
  ASSERT_TRUE(
      store_->AddTrials(job_.name(), {v1::Proposal()}, absl::Now()).ok());
  const std::vector<GrantedLease> leases =
      *store_->GrantLeases("session", {}, 1, absl::Now());
  ASSERT_EQ(leases.size(), 1u);
  Completion completion;
  completion.fence = leases[0].fence;
  completion.session = "session";
  completion.state = v1::TRIAL_MEASURED;
  completion.outcome.set_kind(v1::MEASURED);
  *completion.outcome.mutable_measurement() =
      Trial(0, 0.5, 1, 100).measurement();
  const v1::Trial measured =
      store_->CompleteAttempt(completion, absl::Now())->trial;
  ASSERT_TRUE(*tracker.Add(job_.name(), measured));
  tracker.ForgetUnused(absl::InfiniteFuture());
  EXPECT_EQ(*tracker.Exportable(job_.name()), std::vector<int64_t>{0});
  EXPECT_FALSE(*tracker.WouldEnter(job_.name(), Trial(1, 0.4, 1, 100)));
}

TEST_F(FrontierTrackerTest, AgreesWithAllTrialsLookedAtTogether) {
  const uint32_t seed = 5;
  std::mt19937 random(seed);
  std::uniform_int_distribution<int> coarse(1, 12);
  FrontierTracker tracker(store_.get());
  std::vector<v1::Trial> trials;
  for (int i = 0; i < 200; ++i) {
    trials.push_back(
        Trial(i, coarse(random) / 20.0, coarse(random) / 10.0, coarse(random)));
    std::set<int> members;
    for (const int k : ParetoFrontier(trials, {"latency"})) members.insert(k);
    for (const int k : ParetoFrontier(trials, {"size"})) members.insert(k);
    for (const int k :
         ParetoFrontier(trials, std::vector<std::string>{"latency", "size"})) {
      members.insert(k);
    }
    const bool is_member = members.count(i) > 0;
    EXPECT_EQ(*tracker.WouldEnter(job_.name(), trials[i]), is_member)
        << "trial " << i;
    EXPECT_EQ(*tracker.Add(job_.name(), trials[i]), is_member)
        << "trial " << i << ", seed " << seed;
    EXPECT_EQ(*tracker.Add(job_.name(), trials[i]), is_member);
  }
}

TEST_F(FrontierTrackerTest, AnEqualTrialDoesNotEnter) {
  FrontierTracker tracker(store_.get());
  EXPECT_TRUE(*tracker.Add(job_.name(), Trial(0, 0.9, 1, 100)));
  EXPECT_FALSE(*tracker.WouldEnter(job_.name(), Trial(1, 0.9, 1, 100)));
  EXPECT_FALSE(*tracker.Add(job_.name(), Trial(1, 0.9, 1, 100)));
  // Smaller, though not quicker: of use to whoever asks for a size.
  EXPECT_TRUE(*tracker.Add(job_.name(), Trial(2, 0.9, 1.1, 90)));
}

TEST_F(FrontierTrackerTest, ForgetStartsOver) {
  FrontierTracker tracker(store_.get());
  EXPECT_TRUE(*tracker.Add(job_.name(), Trial(0, 0.9, 1, 100)));
  EXPECT_FALSE(*tracker.Add(job_.name(), Trial(1, 0.8, 1, 100)));
  tracker.Forget(job_.name());
  EXPECT_TRUE(*tracker.Add(job_.name(), Trial(1, 0.8, 1, 100)));
}

}  // namespace
}  // namespace lathe

// What tests of the store share: a fresh state folder, and short ways to make
// jobs, trials and completions.
#ifndef LATHE_STORAGE_TESTING_STORE_FIXTURE_H_
#define LATHE_STORAGE_TESTING_STORE_FIXTURE_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "gtest/gtest.h"
#include "storage/sqlite_store.h"
#include "storage/store.h"

namespace lathe {

// An empty folder of the running test's own.
std::string FreshFolder();

v1::HardwareProfile TestProfile(const std::string& cpu = "cpu");
v1::JobSpec TestSpec(const std::string& model = "model");
// Distinct for every `bits`.
v1::Proposal TestProposal(int bits);
v1::Measurement TestMeasurement(double accuracy);

// How a trial is completed as measured, or with another outcome.
Completion Measured(int64_t fence, double accuracy = 0.5);
Completion Ended(int64_t fence, v1::TrialState state, v1::OutcomeKind kind,
                 const std::string& reason);

class StoreTest : public testing::Test {
 protected:
  StoreTest() : folder_(FreshFolder()), now_(absl::FromUnixSeconds(1000)) {
    Open();
  }

  void Open() {
    store_.reset();
    auto store = OpenStore({folder_});
    ASSERT_TRUE(store.ok()) << store.status();
    store_ = *std::move(store);
  }

  // A job with `trials` pending trials; returns its name.
  std::string MakeJob(int trials, const v1::JobSpec& spec = TestSpec());
  // Grants one lease, which must be there.
  GrantedLease Lease(const std::string& session = "session");
  // Grants and completes one trial.
  v1::Trial MeasureNext(double accuracy = 0.5);

  const std::string folder_;
  const absl::Time now_;
  std::unique_ptr<Store> store_;
};

// One counts line: "pending leased measured infeasible failed quarantined".
std::string CountsText(const v1::TrialCounts& counts);

}  // namespace lathe

#endif  // LATHE_STORAGE_TESTING_STORE_FIXTURE_H_

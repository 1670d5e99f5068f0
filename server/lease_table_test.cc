#include "server/lease_table.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace lathe {
namespace {

using v1::RenewLeasesResponse;

const absl::Time kStart = absl::FromUnixSeconds(1000);

absl::Time After(double seconds) { return kStart + absl::Seconds(seconds); }

std::vector<int64_t> Fences(const std::vector<HeldLease>& leases) {
  std::vector<int64_t> fences;
  for (const HeldLease& lease : leases) fences.push_back(lease.fence);
  return fences;
}

TEST(LeaseTable, ExpiresALeaseAtItsDeadlineAndNotBefore) {
  LeaseTable leases;
  leases.Add(/*fence=*/7, "s", "jobs/1/trials/0", After(30));
  EXPECT_TRUE(leases.TakeExpired(After(29.999)).empty());
  EXPECT_THAT(Fences(leases.TakeExpired(After(30))), testing::ElementsAre(7));
  EXPECT_TRUE(leases.TakeExpired(After(31)).empty());
  EXPECT_EQ(leases.Renew(7, "s", After(60)), RenewLeasesResponse::LOST);
}

TEST(LeaseTable, RenewalMovesTheDeadline) {
  LeaseTable leases;
  leases.Add(/*fence=*/7, "s", "jobs/1/trials/0", After(30));
  EXPECT_EQ(leases.Renew(7, "s", After(35)), RenewLeasesResponse::GO_ON);
  EXPECT_TRUE(leases.TakeExpired(After(34)).empty());
  EXPECT_EQ(leases.TakeExpired(After(35)).size(), 1u);
}

TEST(LeaseTable, TellsHowFarALeaseIsByItsHoldersWord) {
  LeaseTable leases;
  leases.Add(/*fence=*/7, "s", "jobs/1/trials/0", After(30));
  leases.Add(/*fence=*/8, "s", "jobs/1/trials/1", After(30));
  EXPECT_FALSE(leases.ProgressOf("jobs/1/trials/0").has_value());
  v1::TrialProgress progress;
  progress.set_stage("evaluating");
  progress.set_seconds(3);
  leases.NoteProgress(7, "other", progress);
  EXPECT_FALSE(leases.ProgressOf("jobs/1/trials/0").has_value());
  leases.NoteProgress(7, "s", progress);
  EXPECT_EQ(leases.ProgressOf("jobs/1/trials/0")->seconds(), 3);
  EXPECT_THAT(leases.CountStages("jobs/1"),
              testing::ElementsAre(testing::Pair("", 1),
                                   testing::Pair("evaluating", 1)));
  leases.Unwant("jobs/1");
  EXPECT_TRUE(leases.CountStages("jobs/1").empty());
}

TEST(LeaseTable, OnlyTheHolderRenews) {
  LeaseTable leases;
  leases.Add(/*fence=*/7, "s", "jobs/1/trials/0", After(30));
  EXPECT_EQ(leases.Renew(7, "other", After(99)), RenewLeasesResponse::LOST);
  EXPECT_EQ(leases.Renew(8, "s", After(99)), RenewLeasesResponse::LOST);
  EXPECT_EQ(leases.TakeExpired(After(30)).size(), 1u);
}

TEST(LeaseTable, UnwantedLeasesOfOneJobAreStoppedUntilTheyExpire) {
  LeaseTable leases;
  leases.Add(1, "s", "jobs/1/trials/0", After(30));
  leases.Add(2, "s", "jobs/1/trials/5", After(30));
  leases.Add(3, "s", "jobs/12/trials/0", After(30));
  EXPECT_THAT(leases.Unwant("jobs/1"), testing::ElementsAre(1, 2));
  EXPECT_TRUE(leases.Unwant("jobs/1").empty());
  EXPECT_EQ(leases.Renew(1, "s", After(99)), RenewLeasesResponse::STOP);
  EXPECT_EQ(leases.Renew(3, "s", After(99)), RenewLeasesResponse::GO_ON);
  EXPECT_FALSE(leases.Find(1).has_value());
  EXPECT_EQ(leases.Find(3)->trial, "jobs/12/trials/0");
  EXPECT_TRUE(leases.TakeExpired(After(50)).empty());
  EXPECT_EQ(leases.Renew(1, "s", After(99)), RenewLeasesResponse::LOST);
}

TEST(LeaseTable, CountsWantedLeasesBySession) {
  LeaseTable leases;
  leases.Add(1, "a", "jobs/1/trials/0", After(30));
  leases.Add(2, "a", "jobs/1/trials/1", After(30));
  leases.Add(3, "b", "jobs/2/trials/0", After(30));
  leases.Unwant("jobs/2");
  leases.Remove(2);
  leases.Remove(99);
  EXPECT_THAT(leases.CountBySession(),
              testing::ElementsAre(testing::Pair("a", 1)));
}

}  // namespace
}  // namespace lathe

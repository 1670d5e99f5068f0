#include "server/worker_registry.h"

#include <gtest/gtest.h>

namespace lathe {
namespace {

const absl::Time kStart = absl::FromUnixSeconds(1000);

WorkerRecord Record(const std::string& name) {
  WorkerRecord record;
  record.name = name;
  return record;
}

TEST(WorkerRegistry, AWorkerIsActiveUntilItWasSilentForTooLong) {
  WorkerRegistry workers;
  workers.Register("a", Record("workers/1"), {}, kStart);
  EXPECT_EQ(workers.CountActive(kStart + WorkerRegistry::kLostAfter), 1);
  const absl::Time late =
      kStart + WorkerRegistry::kLostAfter + absl::Seconds(1);
  EXPECT_EQ(workers.CountActive(late), 0);
  EXPECT_EQ(workers.List({}, late)[0].state(), "lost");
  EXPECT_TRUE(workers.Hear("a", late).ok());
  EXPECT_EQ(workers.CountActive(late), 1);
}

TEST(WorkerRegistry, ASilentWorkerIsForgottenInTheEnd) {
  WorkerRegistry workers;
  workers.Register("a", Record("workers/1"), {}, kStart);
  workers.Forget(kStart + WorkerRegistry::kForgottenAfter);
  EXPECT_TRUE(workers.Hear("a", kStart).ok());
  workers.Forget(kStart + WorkerRegistry::kForgottenAfter + absl::Seconds(1));
  EXPECT_EQ(workers.Hear("a", kStart).status().code(),
            absl::StatusCode::kNotFound);
}

TEST(WorkerRegistry, TellsIdleBusyAndDraining) {
  WorkerRegistry workers;
  workers.Register("a", Record("workers/2"), {}, kStart);
  workers.Register("b", Record("workers/1"), {}, kStart);
  workers.Register("c", Record("workers/3"), {}, kStart);
  workers.Drain("workers/3");
  const std::vector<v1::WorkerInfo> infos =
      workers.List({{"a", 1}, {"c", 1}}, kStart + absl::Seconds(3));
  ASSERT_EQ(infos.size(), 3u);
  EXPECT_EQ(infos[0].name(), "workers/1");
  EXPECT_EQ(infos[0].state(), "idle");
  EXPECT_EQ(infos[0].silent_seconds(), 3);
  EXPECT_EQ(infos[1].state(), "busy");
  EXPECT_EQ(infos[2].state(), "draining");
  EXPECT_TRUE(workers.Hear("c", kStart)->is_closed);
  EXPECT_FALSE(workers.Hear("a", kStart)->is_closed);
}

TEST(WorkerRegistry, ADrainedWorkerStaysDrainedWhenItRegistersAgain) {
  WorkerRegistry workers;
  workers.Register("a", Record("workers/1"), {}, kStart);
  WorkerRecord record = Record("workers/1");
  workers.Drain("workers/1");
  EXPECT_TRUE(workers.IsDraining("a"));
  record.is_draining = true;
  workers.Register("a", record, {}, kStart);
  EXPECT_TRUE(workers.IsDraining("a"));
}

TEST(WorkerRegistry, CordonsAtTheThirdFailureInARowThatPassedElsewhere) {
  WorkerRegistry workers;
  workers.Register("a", Record("workers/1"), {}, kStart);
  EXPECT_FALSE(workers.NotePassedElsewhere("a").has_value());
  EXPECT_FALSE(workers.NotePassedElsewhere("a").has_value());
  workers.NoteCompleted("a", /*evaluation_seconds=*/1);
  EXPECT_FALSE(workers.NotePassedElsewhere("a").has_value());
  EXPECT_FALSE(workers.NotePassedElsewhere("a").has_value());
  EXPECT_EQ(workers.NotePassedElsewhere("a"), "workers/1");
  EXPECT_FALSE(workers.NotePassedElsewhere("a").has_value());
  EXPECT_TRUE(workers.Hear("a", kStart)->is_closed);
  EXPECT_EQ(workers.CountActive(kStart), 0);
}

TEST(WorkerRegistry, OneSlowEvaluationCountsForAWhile) {
  WorkerRegistry workers;
  workers.Register("a", Record("workers/1"), {}, kStart);
  workers.NoteCompleted("a", 2);
  workers.NoteCompleted("a", 5);
  EXPECT_EQ(workers.Hear("a", kStart)->longest_evaluation_seconds, 5);
  for (int i = 0; i < 3; ++i) workers.NoteCompleted("a", 1);
  EXPECT_GT(workers.Hear("a", kStart)->longest_evaluation_seconds, 3);
  for (int i = 0; i < 30; ++i) workers.NoteCompleted("a", 1);
  EXPECT_EQ(workers.Hear("a", kStart)->longest_evaluation_seconds, 1);
  EXPECT_EQ(workers.List({}, kStart)[0].completed_trials(), 35);
}

TEST(WorkerRegistry, ANewWorkerIsJudgedByTheOthersEvaluations) {
  WorkerRegistry workers;
  workers.Register("a", Record("workers/1"), {}, kStart);
  workers.NoteCompleted("a", 5);
  workers.Register("b", Record("workers/2"), {}, kStart);
  EXPECT_EQ(workers.Hear("b", kStart)->longest_evaluation_seconds, 5);
  workers.NoteCompleted("b", 2);
  EXPECT_EQ(workers.Hear("b", kStart)->longest_evaluation_seconds, 2);
}

TEST(WorkerRegistry, AWorkerWithTooLittleTimeIsNotActive) {
  WorkerRegistry workers;
  workers.Register("a", Record("workers/1"), {}, kStart);
  workers.NoteEnding("a", true);
  EXPECT_EQ(workers.CountActive(kStart), 0);
  EXPECT_EQ(workers.List({}, kStart)[0].state(), "ending");
  workers.NoteEnding("a", false);
  EXPECT_EQ(workers.List({}, kStart)[0].state(), "idle");
}

}  // namespace
}  // namespace lathe

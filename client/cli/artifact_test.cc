#include "client/cli/artifact.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace lathe {
namespace {

using testing::HasSubstr;

std::string WhyNot(v1::TrialState state) {
  v1::Trial trial;
  trial.set_name("jobs/3/trials/7");
  trial.set_state(state);
  const absl::Status status =
      WriteArtifact(/*channel=*/nullptr, trial, ArtifactFormat::kOnnx, "")
          .status();
  EXPECT_TRUE(absl::IsFailedPrecondition(status));
  return std::string(status.message());
}

TEST(Artifact, OfATrialWithoutOneTheErrorNamesTheNextStep) {
  EXPECT_THAT(WhyNot(v1::TRIAL_LEASED), HasSubstr("LEASED"));
  EXPECT_THAT(WhyNot(v1::TRIAL_MEASURED), HasSubstr("lathe-worker trial"));
}

}  // namespace
}  // namespace lathe

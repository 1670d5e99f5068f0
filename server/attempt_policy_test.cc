#include "server/attempt_policy.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace lathe {
namespace {

struct Case {
  const char* what;
  // Attempts in order as "<kind letter><worker letter>"; the last ends now.
  // m easured, i nfeasible, b ad input, t ransient, o ut of memory, l imit of
  // time, c rash, n oisy with and N oisy without measurement.
  std::vector<std::string> attempts;
  int active_workers;
  v1::TrialState expected;
};

v1::OutcomeKind KindOf(char letter) {
  switch (letter) {
    case 'm':
      return v1::MEASURED;
    case 'i':
      return v1::INFEASIBLE;
    case 'b':
      return v1::BAD_INPUT;
    case 't':
      return v1::TRANSIENT;
    case 'o':
      return v1::OUT_OF_MEMORY;
    case 'l':
      return v1::TIMEOUT;
    case 'c':
      return v1::CRASH;
    default:
      return v1::NOISY;
  }
}

v1::TrialState StateOf(const Case& test) {
  std::vector<EndedAttempt> earlier;
  for (size_t i = 0; i + 1 < test.attempts.size(); ++i) {
    EndedAttempt& attempt = earlier.emplace_back();
    attempt.kind = KindOf(test.attempts[i][0]);
    attempt.session = test.attempts[i].substr(1);
  }
  const std::string& last = test.attempts.back();
  EndingAttempt ending;
  ending.kind = KindOf(last[0]);
  ending.has_measurement = last[0] == 'm' || last[0] == 'n';
  ending.session = absl::string_view(last).substr(1);
  return NextTrialState(ending, earlier, test.active_workers);
}

TEST(AttemptPolicy, DecidesWhatBecomesOfATrial) {
  const std::vector<Case> cases = {
      {"measured", {"mA"}, 1, v1::TRIAL_MEASURED},
      {"measured after failures", {"cA", "tA", "mA"}, 1, v1::TRIAL_MEASURED},
      {"infeasible", {"iA"}, 1, v1::TRIAL_INFEASIBLE},
      {"one crash", {"cA"}, 1, v1::TRIAL_PENDING},
      {"two crashes", {"cA", "cA"}, 1, v1::TRIAL_PENDING},
      {"three on the only worker",
       {"cA", "cA", "cA"},
       1,
       v1::TRIAL_QUARANTINED},
      {"three kinds", {"cA", "oA", "lA"}, 1, v1::TRIAL_QUARANTINED},
      {"three on one of two", {"cA", "cA", "cA"}, 2, v1::TRIAL_PENDING},
      {"three on two", {"cA", "cA", "cB"}, 2, v1::TRIAL_QUARANTINED},
      {"six on one of two",
       {"cA", "cA", "cA", "cA", "cA", "cA"},
       2,
       v1::TRIAL_QUARANTINED},
      {"no worker active any more",
       {"cA", "cA", "cA"},
       0,
       v1::TRIAL_QUARANTINED},
      {"one bad input", {"bA"}, 1, v1::TRIAL_PENDING},
      {"twice by the only one", {"bA", "bA"}, 1, v1::TRIAL_FAILED},
      {"twice by one of two", {"bA", "bA"}, 2, v1::TRIAL_PENDING},
      {"two agree", {"bA", "bB"}, 2, v1::TRIAL_FAILED},
      {"a crash is not an agreement", {"cB", "bA"}, 2, v1::TRIAL_PENDING},
      {"bad inputs are not crashes", {"bA", "cA", "cA"}, 1, v1::TRIAL_PENDING},
      {"noisy", {"nA"}, 1, v1::TRIAL_PENDING},
      {"noisy again", {"nA", "nA"}, 1, v1::TRIAL_MEASURED},
      {"noisy after a crash", {"cA", "nA"}, 1, v1::TRIAL_PENDING},
      {"noisy without numbers", {"NA", "NA"}, 1, v1::TRIAL_PENDING},
      {"noisy without numbers, thrice",
       {"NA", "NA", "NA"},
       1,
       v1::TRIAL_QUARANTINED}};
  for (const Case& test : cases) {
    EXPECT_EQ(StateOf(test), test.expected) << test.what;
  }
}

}  // namespace
}  // namespace lathe

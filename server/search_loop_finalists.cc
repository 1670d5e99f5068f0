// A search loop's part in fidelity "ladder": what is measured whole, and when.
#include <algorithm>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status.h"
#include "proto/fidelity.h"
#include "server/job_spec_check.h"
#include "server/search_loop.h"

namespace lathe {
namespace {

// They are chosen anew when there are more looks by one in so many: choosing
// takes as long as there are looks.
constexpr int64_t kLooksPerChoice = 32;

// At the end half of them are measured at once, at least so many: what is
// measured of them tells which of the others are worth it.
constexpr int64_t kLeastPerRound = 4;

// As long as looks are under way, one trial in so many is kept for finalists:
// many workers look at many plans at once.
constexpr int64_t kKeptShare = 8;

}  // namespace

absl::Status SearchLoop::MakeFinalists(absl::Span<const v1::Trial> trials) {
  LATHE_ASSIGN_OR_RETURN(
      finalists_, Finalists::Make(job_record_.baseline().space(),
                                  job_record_.baseline().latency_table(),
                                  baseline_, ObjectivesOf(job_record_.spec())));
  chose_after_.reset();
  for (const v1::Trial& trial : trials) {
    // Others that have ended are taken in when they are learned.
    if (trial.learn_sequence() > 0 || IsSecondMeasurement(trial)) {
      finalists_->Add(trial);
    }
  }
  return absl::OkStatus();
}

void SearchLoop::ChooseFinalists(bool is_end) {
  const int64_t learned = driver_->learned();
  const int64_t room = is_end ? 0 : finalists_->looks() / kLooksPerChoice;
  if (chose_after_.has_value() && learned <= *chose_after_ + room) return;
  finalist_numbers_ = finalists_->Choose();
  chose_after_ = learned;
}

bool SearchLoop::AreAllLearned(const JobProgress& progress) const {
  return unlearned_.empty() && progress.counts.pending() == 0 &&
         progress.counts.leased() == 0;
}

int64_t SearchLoop::KeptTrials(const JobProgress& progress) {
  const bool is_settled = AreAllLearned(progress);
  ChooseFinalists(/*is_end=*/is_settled);
  // Where there is one finalist, there will be others: what is measured of it
  // tells more of them.
  const int64_t room = finalists_->Room();
  if (is_settled) return finalist_numbers_.empty() ? 0 : room;
  return std::max(room, job_record_.spec().trials() / kKeptShare);
}

absl::StatusOr<std::optional<SearchLoop::Next>> SearchLoop::MeasureFinalists(
    int64_t left, const JobProgress& progress) {
  const int64_t kept = KeptTrials(progress);
  const auto known = static_cast<int64_t>(finalist_numbers_.size());
  const bool is_end = exhausted_after_ == driver_->learned() || left <= kept;
  if (!is_end) {
    if (known == 0 || !finalists_->IsOneDue()) return std::nullopt;
    LATHE_RETURN_IF_ERROR(AddFinalists(1));
    return Next::kGoOn;
  }
  if (!unlearned_.empty()) {
    LATHE_RETURN_IF_ERROR(LearnSome());
    return Next::kGoOn;
  }
  // What is still looked at may be better.
  if (!AreAllLearned(progress)) return Next::kWait;
  if (known == 0) return std::nullopt;
  const int64_t round = std::max(kLeastPerRound, known / 2);
  LATHE_RETURN_IF_ERROR(AddFinalists(std::min({left, known, round})));
  return Next::kGoOn;
}

absl::Status SearchLoop::AddFinalists(int64_t count) {
  LATHE_ASSIGN_OR_RETURN(
      const std::vector<v1::Trial> looked,
      parts_.store->GetTrials(
          job_, absl::MakeConstSpan(finalist_numbers_).subspan(0, count)));
  std::vector<v1::Proposal> proposals;
  for (const v1::Trial& trial : looked) {
    v1::Proposal& proposal = proposals.emplace_back(trial.proposal());
    proposal.set_source(absl::StrCat(kWholePrefix, proposal.source()));
    proposal.clear_learned_before();
    proposal.clear_thinking_seconds();
    v1::Trial second;
    *second.mutable_proposal() = proposal;
    second.set_plan_digest(trial.plan_digest());
    finalists_->Add(second);
  }
  chose_after_.reset();
  return Add(std::move(proposals));
}

}  // namespace lathe

#include "client/cli/search_progress.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "client/cli/quantity.h"
#include "proto/plan.h"

namespace lathe {
namespace {

constexpr int kBarWidth = 20;
// What "best so far" means when nobody gave a budget.
constexpr double kHalfLatency = 0.5;
constexpr double kAcceptedDrop = 0.01;

constexpr absl::Duration kRedrawInterval = absl::Milliseconds(200);

int TerminalWidth() {
  winsize size = {};
  if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0) {
    return 80;
  }
  return size.ws_col;
}

}  // namespace

int64_t DoneTrials(const v1::TrialCounts& counts) {
  return counts.measured() + counts.infeasible() + counts.failed() +
         counts.quarantined();
}

SearchProgress::SearchProgress(const v1::Job& job, absl::Time start)
    : total_(job.spec().trials()),
      start_(start),
      done_at_start_(DoneTrials(job.counts())),
      done_(done_at_start_),
      state_(job.state()) {}

void SearchProgress::Add(const v1::Event& event) {
  // Events of the past come first when a search is taken up again.
  if (event.has_counts()) {
    done_ = std::max(done_, DoneTrials(event.counts()));
  }
  if (event.has_job()) state_ = event.job().state();
  if (!event.has_trial() || !IsMeasuredWhole(event.trial())) return;
  const v1::Measurement& measurement = event.trial().measurement();
  const Seen seen = {measurement.accuracy(), measurement.latency_ratio()};
  if (event.trial().number() == 0) baseline_ = seen;
  measured_.push_back(seen);
}

std::optional<SearchProgress::Seen> SearchProgress::Best() const {
  std::optional<Seen> best;
  for (const Seen& seen : measured_) {
    if (seen.latency_ratio > kHalfLatency) continue;
    if (!best.has_value() || seen.accuracy > best->accuracy) best = seen;
  }
  if (best.has_value() || !baseline_.has_value()) return best;
  for (const Seen& seen : measured_) {
    if (seen.accuracy < baseline_->accuracy - kAcceptedDrop) continue;
    if (!best.has_value() || seen.latency_ratio < best->latency_ratio) {
      best = seen;
    }
  }
  return best;
}

std::string SearchProgress::Line(absl::Time now) const {
  std::string line = absl::StrCat(done_, "/", total_);
  const double seconds = absl::ToDoubleSeconds(now - start_);
  const int64_t fresh = done_ - done_at_start_;
  if (fresh > 0 && seconds > 0) {
    const double rate = static_cast<double>(fresh) / seconds;
    absl::StrAppendFormat(&line, "  %.3g/s", rate);
    if (done_ < total_) {
      absl::StrAppend(
          &line, "  ETA ",
          FormatSeconds(static_cast<double>(total_ - done_) / rate));
    }
  }
  const std::optional<Seen> best = Best();
  if (best.has_value()) {
    absl::StrAppendFormat(&line, "  best %.4f at %s", best->accuracy,
                          FormatRatio(best->latency_ratio));
  }
  return line;
}

std::string SearchProgress::Bar(absl::Time now, int width) const {
  const double share = total_ > 0
                           ? std::min(1.0, static_cast<double>(done_) /
                                               static_cast<double>(total_))
                           : 0;
  const int filled = static_cast<int>(share * kBarWidth);
  std::string bar(filled, '=');
  if (filled < kBarWidth) bar += '>';
  bar.resize(kBarWidth, ' ');
  std::string text = absl::StrCat("[", bar, "]  ", Line(now));
  if (static_cast<int>(text.size()) > width) text.resize(std::max(width, 0));
  return text;
}

bool SearchProgress::ReachedNextTenth() {
  const int64_t tenths = total_ > 0 ? done_ * 10 / total_ : 0;
  if (tenths <= tenths_) return false;
  tenths_ = tenths;
  return true;
}

ProgressDisplay::ProgressDisplay() : is_terminal_(isatty(STDERR_FILENO) == 1) {}

ProgressDisplay::~ProgressDisplay() { Finish(); }

void ProgressDisplay::Show(SearchProgress& progress, absl::Time now) {
  if (!is_terminal_) {
    if (progress.ReachedNextTenth()) {
      std::fprintf(stderr, "%s\n", progress.Line(now).c_str());
    }
    return;
  }
  if (now - last_shown_ < kRedrawInterval) return;
  last_shown_ = now;
  // The last column stays free: some terminals wrap when it is written.
  std::fprintf(stderr, "\r%s\x1b[K",
               progress.Bar(now, TerminalWidth() - 1).c_str());
  std::fflush(stderr);
  is_line_open_ = true;
}

void ProgressDisplay::Finish() {
  if (is_line_open_) std::fputc('\n', stderr);
  is_line_open_ = false;
}

}  // namespace lathe

// How far a search is, told by its events.
#ifndef LATHE_CLIENT_CLI_SEARCH_PROGRESS_H_
#define LATHE_CLIENT_CLI_SEARCH_PROGRESS_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "proto/search.pb.h"
#include "proto/types.pb.h"

namespace lathe {

// Not thread-safe. The caller passes the time.
class SearchProgress {
 public:
  // `job` as it stood at `start`; trials that it had done then do not count
  // for the rate.
  SearchProgress(const v1::Job& job, absl::Time start);

  void Add(const v1::Event& event);

  int64_t done() const { return done_; }
  int64_t total() const { return total_; }
  v1::JobState state() const { return state_; }

  // "[=====>    ]  12/20  0.8/s  ETA 10 s  best 0.871 at 0.462x". At most
  // `width` columns.
  std::string Bar(absl::Time now, int width) const;
  // The same without the bar.
  std::string Line(absl::Time now) const;

  // Whether another tenth of the trials (or the last one) is done since the
  // last call that said so.
  bool ReachedNextTenth();

 private:
  struct Seen {
    double accuracy = 0;
    double latency_ratio = 1;
  };

  // The highest accuracy at no more than half the latency, else the lowest
  // latency within a point of the baseline.
  std::optional<Seen> Best() const;

  const int64_t total_;
  const absl::Time start_;
  const int64_t done_at_start_;
  int64_t done_;
  int64_t tenths_ = 0;
  v1::JobState state_;
  std::optional<Seen> baseline_;
  std::vector<Seen> measured_;
};

// Trials that have ended, however.
int64_t DoneTrials(const v1::TrialCounts& counts);

// Writes progress to standard error: one line drawn over and over when that
// is a terminal, else a line every tenth of the trials. Not thread-safe.
class ProgressDisplay {
 public:
  ProgressDisplay();
  // Ends a bar's line.
  ~ProgressDisplay();

  void Show(SearchProgress& progress, absl::Time now);
  // Ends the bar's line, so that other text can follow.
  void Finish();

 private:
  const bool is_terminal_;
  bool is_line_open_ = false;
  absl::Time last_shown_ = absl::InfinitePast();
};

}  // namespace lathe

#endif  // LATHE_CLIENT_CLI_SEARCH_PROGRESS_H_

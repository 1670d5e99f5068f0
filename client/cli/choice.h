// Which configuration a search hands over.
#ifndef LATHE_CLIENT_CLI_CHOICE_H_
#define LATHE_CLIENT_CLI_CHOICE_H_

#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "client/search_client.h"
#include "proto/search.pb.h"
#include "proto/types.pb.h"

namespace lathe {

struct Choice {
  v1::Trial trial;
  // In words, for instance "most accurate within the budget".
  std::string why;
  // False: nothing meets the job's budget, and `trial` is the nearest miss.
  bool is_within_budget = true;
  // The nearest misses, when nothing meets it.
  v1::BestConfiguration misses;
};

// With a bound on latency or size: the answer within the whole budget
// (BestConfiguration), or the nearest miss. With a bound on the drop alone: the
// fastest within it. Without a budget: the most accurate at no more than half
// the latency; else the fastest within a point of the original's accuracy,
// which the original itself is.
//
// Errors: those of the server; FailedPrecondition - nothing was measured.
absl::StatusOr<Choice> ChooseConfiguration(const SearchClient& client,
                                           const v1::Job& job,
                                           const v1::Frontier& frontier);

// The fastest of the frontier (of the baseline and it) that loses at most
// `drop` of accuracy; the baseline always qualifies.
v1::Trial FastestWithinDrop(const v1::Frontier& frontier, double drop);

}  // namespace lathe

#endif  // LATHE_CLIENT_CLI_CHOICE_H_

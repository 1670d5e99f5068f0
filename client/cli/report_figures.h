// The numbers of a report.
#ifndef LATHE_CLIENT_CLI_REPORT_FIGURES_H_
#define LATHE_CLIENT_CLI_REPORT_FIGURES_H_

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/types/span.h"
#include "proto/search.pb.h"
#include "proto/types.pb.h"

namespace lathe {

// By trial number, the hypervolume that the measured trials up to it dominate,
// on the report split where there is one. Trials in the order in which the
// agent learned them, those that it did not learn last.
struct CurvePoint {
  int64_t trial = 0;
  double hypervolume = 0;
};
std::vector<CurvePoint> HypervolumeOverTrials(
    absl::Span<const v1::Trial> trials, const v1::Measurement& baseline);

// By trial number, what each measured trial added to that hypervolume.
std::map<int64_t, double> GainByTrial(absl::Span<const v1::Trial> trials,
                                      const v1::Measurement& baseline);

// What the agent thought for its proposals, over what their evaluations took on
// their workers; 0 where nothing was evaluated.
double ThinkingRatio(absl::Span<const v1::Trial> trials);

// By how much the frontier's accuracies on the search split promise too much:
// the mean over its members of (accuracy - report accuracy), less the
// baseline's own difference between the two splits, which nobody selected.
// 0 without members or report split.
double Optimism(const v1::Frontier& frontier);

// What one proposer contributed.
struct ProposerShare {
  int64_t trials = 0;
  int64_t on_frontier = 0;
  // Sum of its trials' gains of hypervolume.
  double gain = 0;
  // The same as a share of all trials' gain; 0 where nothing was gained.
  double gain_ratio = 0;
  double mean_reward = 0;
  std::map<std::string, double> mean_components;
};
// By the proposal's source.
std::map<std::string, ProposerShare> ProposerShares(
    absl::Span<const v1::Trial> trials, const v1::Frontier& frontier);

}  // namespace lathe

#endif  // LATHE_CLIENT_CLI_REPORT_FIGURES_H_

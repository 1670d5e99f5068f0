#include "server/rivals.h"

#include <algorithm>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "agent/frontier.h"
#include "base/status.h"
#include "proto/confirmation.h"
#include "proto/fidelity.h"
#include "server/agent_driver.h"
#include "server/job_spec_check.h"
#include "server/resource_names.h"

namespace lathe {

absl::StatusOr<v1::Rivals> RivalsOf(const v1::JobSpec& spec,
                                    const v1::Trial& trial, Store& store,
                                    FrontierTracker& frontiers) {
  v1::Rivals rivals;
  if (!HasLooks(spec) || trial.number() == 0 || !IsAgentsOwn(trial) ||
      IsSolversAnswer(trial) || !trial.proposal().has_predicted_latency_us() ||
      !(trial.proposal().predicted_latency_us() > 0)) {
    return rivals;
  }
  const std::string job = JobOfTrial(trial.name());
  LATHE_ASSIGN_OR_RETURN(const v1::Trial baseline,
                         store.GetTrial(absl::StrCat(job, "/trials/0")));
  const double baseline_us = baseline.measurement().latency_us();
  if (!(baseline_us > 0)) return rivals;
  const std::vector<std::string> objectives = ObjectivesOf(spec);
  LATHE_ASSIGN_OR_RETURN(const std::vector<int64_t> numbers,
                         frontiers.Frontier(job, objectives));
  LATHE_ASSIGN_OR_RETURN(const std::vector<v1::Trial> members,
                         store.GetTrials(job, numbers));
  for (const int i : ParetoFrontier(members, objectives)) {
    // Trial 0 carries an empty plan, and answers as itself.
    if (members[i].number() == 0) continue;
    v1::Rival* rival = rivals.add_rivals();
    rival->set_number(members[i].number());
    *rival->mutable_plan() = members[i].proposal().plan();
    rival->set_latency_ratio(members[i].measurement().latency_ratio());
    rival->set_size_bytes(members[i].measurement().size_bytes());
    rival->set_kl_divergence(members[i].measurement().kl_divergence());
  }
  const double predicted_us = trial.proposal().predicted_latency_us();
  rivals.set_predicted_latency_us(predicted_us);
  rivals.set_predicted_latency_ratio(predicted_us / baseline_us);
  const auto counts = [&objectives](const char* axis) {
    return std::find(objectives.begin(), objectives.end(), axis) !=
           objectives.end();
  };
  rivals.set_counts_latency(counts("latency"));
  rivals.set_counts_size(counts("size"));
  return rivals;
}

}  // namespace lathe

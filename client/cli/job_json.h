// Jobs, events and workers as JSON.
#ifndef LATHE_CLIENT_CLI_JOB_JSON_H_
#define LATHE_CLIENT_CLI_JOB_JSON_H_

#include <nlohmann/json.hpp>

#include "proto/artifact.pb.h"
#include "proto/search.pb.h"
#include "proto/types.pb.h"

namespace lathe {

// {"pending", "leased", "measured", "infeasible", "failed", "quarantined"}.
nlohmann::json CountsToJson(const v1::TrialCounts& counts);

// {"job", "name", "state", "counts", "agent", "seed", "trials", "threads",
// "batch", "objectives", "model"} and, where they are set, "reason",
// "created", "ended", "profile".
nlohmann::json JobToJson(const v1::Job& job);

// {"sequence", "time", "counts"} and "job" (with state and reason) or "trial".
nlohmann::json EventToJson(const v1::Event& event);

nlohmann::json WorkerToJson(const v1::WorkerInfo& worker);

}  // namespace lathe

#endif  // LATHE_CLIENT_CLI_JOB_JSON_H_

#include "server/experience.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "base/status.h"
#include "proto/agent.pb.h"

namespace lathe {
namespace {

absl::StatusOr<std::optional<v1::AgentMemory>> LoadMemory(
    const std::string& job, Store& store) {
  LATHE_ASSIGN_OR_RETURN(const std::optional<AgentState> state,
                         store.LoadAgentState(job));
  v1::AgentMemory memory;
  if (!state.has_value() || !memory.ParseFromString(state->bytes)) {
    return std::optional<v1::AgentMemory>();
  }
  return std::optional<v1::AgentMemory>(std::move(memory));
}

// Of the first of the job's warm_start_jobs that has left something.
absl::StatusOr<std::string> EarlierExperience(const v1::Job& job,
                                              Store& store) {
  for (const std::string& name : job.spec().warm_start_jobs()) {
    const absl::StatusOr<v1::Job> earlier = store.GetJob(name);
    if (absl::IsNotFound(earlier.status())) continue;
    LATHE_RETURN_IF_ERROR(earlier.status());
    if (earlier->spec().agent() != job.spec().agent()) continue;
    LATHE_ASSIGN_OR_RETURN(const std::optional<v1::AgentMemory> memory,
                           LoadMemory(name, store));
    if (memory.has_value() && !memory->experience().empty()) {
      return memory->experience();
    }
  }
  return std::string();
}

// Whether the trials hold all calls that the snapshot has seen.
bool IsOf(const v1::AgentSnapshot& snapshot,
          absl::Span<const v1::Trial> trials) {
  const auto proposals =
      std::count_if(trials.begin(), trials.end(), IsAgentsOwn);
  const auto learned = std::count_if(
      trials.begin(), trials.end(),
      [](const v1::Trial& trial) { return trial.learn_sequence() > 0; });
  return snapshot.proposals() <= proposals && snapshot.learned() <= learned;
}

}  // namespace

absl::StatusOr<AgentContext> BeginAgentContext(const v1::Job& job,
                                               const v1::Trial& baseline_trial,
                                               Store& store) {
  LATHE_ASSIGN_OR_RETURN(const std::optional<v1::AgentMemory> own,
                         LoadMemory(job.name(), store));
  if (!own.has_value() && job.spec().warm_start_jobs_size() > 0) {
    v1::AgentMemory memory;
    LATHE_ASSIGN_OR_RETURN(*memory.mutable_begun_with(),
                           EarlierExperience(job, store));
    LATHE_RETURN_IF_ERROR(store.SaveAgentState(job.name(), /*learn_sequence=*/0,
                                               memory.SerializeAsString()));
  }
  return ReadAgentContext(job, baseline_trial, store);
}

absl::StatusOr<AgentContext> ReadAgentContext(const v1::Job& job,
                                              const v1::Trial& baseline_trial,
                                              Store& store) {
  AgentContext context = MakeAgentContext(job, baseline_trial);
  LATHE_ASSIGN_OR_RETURN(const std::optional<v1::AgentMemory> own,
                         LoadMemory(job.name(), store));
  if (own.has_value()) context.experience = own->begun_with();
  return context;
}

absl::Status SaveExperience(const std::string& job, AgentDriver& driver,
                            Store& store) {
  std::string experience = driver.Experience();
  if (experience.empty()) return absl::OkStatus();
  LATHE_ASSIGN_OR_RETURN(std::optional<v1::AgentMemory> memory,
                         LoadMemory(job, store));
  if (!memory.has_value()) memory.emplace();
  memory->set_experience(std::move(experience));
  *memory->mutable_snapshot() = driver.Save();
  return store.SaveAgentState(job, driver.learned(),
                              memory->SerializeAsString());
}

absl::Status SaveSnapshot(const std::string& job, AgentDriver& driver,
                          Store& store) {
  v1::AgentSnapshot snapshot = driver.Save();
  if (snapshot.state().empty()) return absl::OkStatus();
  LATHE_ASSIGN_OR_RETURN(std::optional<v1::AgentMemory> memory,
                         LoadMemory(job, store));
  if (!memory.has_value()) memory.emplace();
  *memory->mutable_snapshot() = std::move(snapshot);
  return store.SaveAgentState(job, driver.learned(),
                              memory->SerializeAsString());
}

absl::StatusOr<RestoredDriver> RestoreDriver(const v1::Job& job,
                                             const AgentContext& context,
                                             absl::Span<const v1::Trial> trials,
                                             Store& store) {
  RestoredDriver restored;
  const auto make = [&]() -> absl::Status {
    LATHE_ASSIGN_OR_RETURN(std::unique_ptr<Agent> agent,
                           MakeAgent(job.spec().agent(), context));
    restored.driver =
        std::make_unique<AgentDriver>(std::move(agent), job.baseline().space());
    return absl::OkStatus();
  };
  LATHE_RETURN_IF_ERROR(make());
  LATHE_ASSIGN_OR_RETURN(const std::optional<v1::AgentMemory> memory,
                         LoadMemory(job.name(), store));
  if (memory.has_value() && !memory->snapshot().state().empty() &&
      IsOf(memory->snapshot(), trials) &&
      !restored.driver->Restore(memory->snapshot())) {
    // Of another version: all is replayed.
    LATHE_RETURN_IF_ERROR(make());
  }
  restored.differences = restored.driver->Replay(trials);
  return restored;
}

}  // namespace lathe

#include "server/roles.h"

#include <algorithm>
#include <iterator>

namespace lathe {
namespace {

constexpr int Bit(Role role) { return 1 << static_cast<int>(role); }
constexpr int kAdmins = Bit(Role::kAdmin);
constexpr int kUsers = kAdmins | Bit(Role::kUser);
constexpr int kReaders = kUsers | Bit(Role::kViewer);
constexpr int kWorkers = kAdmins | Bit(Role::kWorker);
constexpr int kAll = kReaders | kWorkers;

struct Method {
  absl::string_view name;
  int roles;
  bool is_audited;
};

// Every method of every service; a test compares it with the protos.
constexpr Method kMethods[] = {
    {"Search.CreateJob", kUsers, true},
    {"Search.GetJob", kReaders, false},
    {"Search.ExplainJob", kReaders, false},
    {"Search.ListJobs", kReaders, false},
    {"Search.PauseJob", kUsers, true},
    {"Search.ResumeJob", kUsers, true},
    {"Search.CancelJob", kUsers, true},
    {"Search.DeleteJob", kUsers, true},
    {"Search.WatchJob", kReaders, false},
    {"Search.ListTrials", kReaders, false},
    {"Search.GetTrial", kReaders, false},
    {"Search.CreateTrial", kUsers, true},
    {"Search.GetFrontier", kReaders, false},
    {"Search.GetBestConfiguration", kReaders, false},
    {"Search.AnswerBudget", kReaders, false},
    {"Workers.RegisterWorker", kWorkers, true},
    {"Workers.LeaseTrials", kWorkers, false},
    {"Workers.RenewLeases", kWorkers, false},
    {"Workers.CompleteTrial", kWorkers, false},
    {"Workers.ReleaseLeases", kWorkers, false},
    {"Artifacts.FindMissing", kAll, false},
    {"Artifacts.Write", kUsers | kWorkers, false},
    {"Artifacts.GetWriteStatus", kUsers | kWorkers, false},
    {"Artifacts.Read", kAll, false},
    {"Admin.ListWorkers", kReaders, false},
    {"Admin.DrainWorker", kAdmins, true},
    {"Admin.CordonWorker", kAdmins, true},
    {"Admin.Backup", kAdmins, true},
    {"Admin.CheckIntegrity", kAdmins, true},
    {"Admin.CollectGarbage", kAdmins, true},
    {"Admin.GetServerInfo", kAll, false},
};

const Method* FindMethod(absl::string_view name) {
  const auto* const found =
      std::find_if(std::begin(kMethods), std::end(kMethods),
                   [name](const Method& m) { return m.name == name; });
  return found == std::end(kMethods) ? nullptr : found;
}

}  // namespace

absl::string_view RoleName(Role role) {
  switch (role) {
    case Role::kViewer:
      return "viewer";
    case Role::kUser:
      return "user";
    case Role::kWorker:
      return "worker";
    case Role::kAdmin:
      return "admin";
  }
  return "";
}

std::optional<Role> ParseRole(absl::string_view name) {
  for (const Role role :
       {Role::kViewer, Role::kUser, Role::kWorker, Role::kAdmin}) {
    if (RoleName(role) == name) return role;
  }
  return std::nullopt;
}

bool MayCall(Role role, absl::string_view method) {
  const Method* const found = FindMethod(method);
  return found != nullptr && (found->roles & Bit(role)) != 0;
}

bool IsAudited(absl::string_view method) {
  const Method* const found = FindMethod(method);
  return found != nullptr && found->is_audited;
}

}  // namespace lathe

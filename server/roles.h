// Who may call what.
#ifndef LATHE_SERVER_ROLES_H_
#define LATHE_SERVER_ROLES_H_

#include <optional>
#include <string>

#include "absl/strings/string_view.h"

namespace lathe {

enum class Role {
  kViewer,  // Reads jobs, results and models.
  kUser,    // A viewer who makes, changes and deletes jobs.
  kWorker,  // Leases and completes trials, and nothing else.
  kAdmin    // Everything.
};

// "viewer", "user", "worker", "admin".
absl::string_view RoleName(Role role);
// Nothing for any other word.
std::optional<Role> ParseRole(absl::string_view name);

// Whether `role` may call `method` ("Search.GetJob"). A method that the table
// does not have is nobody's.
bool MayCall(Role role, absl::string_view method);

// Whether a successful call of `method` is a line of the audit log: those that
// change something, except what workers do all day (the database has it).
bool IsAudited(absl::string_view method);

// Whom the server takes a caller for.
struct Caller {
  // Of the token or certificate; empty where no credentials are asked for.
  std::string name;
  Role role = Role::kViewer;
  // gRPC's name of the other end, for instance "ipv4:10.0.0.7:4711".
  std::string peer;
};

}  // namespace lathe

#endif  // LATHE_SERVER_ROLES_H_

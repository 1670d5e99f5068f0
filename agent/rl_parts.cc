#include "agent/rl_parts.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace lathe {
namespace {

struct Part {
  const char* name;
  bool RlParts::*flag;
};

constexpr Part kParts[] = {
    {"seeds", &RlParts::has_seeds},
    {"policy", &RlParts::has_policy},
    {"resampling", &RlParts::has_resampling},
    {"solver", &RlParts::has_solver},
    {"children", &RlParts::has_children},
    {"relabelling", &RlParts::has_relabelling},
    {"rollouts", &RlParts::has_rollouts},
    {"surrogate", &RlParts::has_surrogate},
    {"masks", &RlParts::has_masks},
};

}  // namespace

absl::Status SwitchOff(absl::string_view part, RlParts* parts) {
  for (const Part& known : kParts) {
    if (part != known.name) continue;
    parts->*known.flag = false;
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(absl::StrCat(
      "part = '", part, "', not one of ",
      absl::StrJoin(kParts, ", ", [](std::string* text, const Part& known) {
        text->append(known.name);
      })));
}

}  // namespace lathe

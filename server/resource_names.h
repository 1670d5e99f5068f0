// "jobs/{job}/trials/{number}" and its parts.
#ifndef LATHE_SERVER_RESOURCE_NAMES_H_
#define LATHE_SERVER_RESOURCE_NAMES_H_

#include <string>

#include "absl/strings/string_view.h"

namespace lathe {

// "jobs/{job}" of a trial's name.
inline std::string JobOfTrial(absl::string_view trial) {
  return std::string(trial.substr(0, trial.find("/trials/")));
}

}  // namespace lathe

#endif  // LATHE_SERVER_RESOURCE_NAMES_H_

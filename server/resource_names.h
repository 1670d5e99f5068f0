// "jobs/{job}/trials/{number}" and its parts.
#ifndef LATHE_SERVER_RESOURCE_NAMES_H_
#define LATHE_SERVER_RESOURCE_NAMES_H_

#include <cstdint>
#include <string>

#include "absl/strings/numbers.h"
#include "absl/strings/string_view.h"

namespace lathe {

// "jobs/{job}" of a trial's name.
inline std::string JobOfTrial(absl::string_view trial) {
  return std::string(trial.substr(0, trial.find("/trials/")));
}

// {number} of a trial's name; 0 when it is none.
inline int64_t NumberOfTrial(absl::string_view trial) {
  int64_t number = 0;
  const bool is_number =
      absl::SimpleAtoi(trial.substr(trial.rfind('/') + 1), &number);
  return is_number ? number : 0;
}

}  // namespace lathe

#endif  // LATHE_SERVER_RESOURCE_NAMES_H_

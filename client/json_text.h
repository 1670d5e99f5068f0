// nlohmann::json to and from text without exceptions.
#ifndef LATHE_CLIENT_JSON_TEXT_H_
#define LATHE_CLIENT_JSON_TEXT_H_

#include <nlohmann/json.hpp>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace lathe {

// Errors:
//   InvalidArgument - `text` is not one JSON value.
absl::StatusOr<nlohmann::json> ParseJson(absl::string_view text);

// One line; bytes that are not UTF-8 are replaced, numbers that are not finite
// become null. Keys in alphabetical order.
std::string DumpJson(const nlohmann::json& value);

}  // namespace lathe

#endif  // LATHE_CLIENT_JSON_TEXT_H_

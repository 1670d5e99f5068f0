#include "client/json_text.h"

namespace lathe {

absl::StatusOr<nlohmann::json> ParseJson(absl::string_view text) {
  nlohmann::json value =
      nlohmann::json::parse(text.begin(), text.end(), /*cb=*/nullptr,
                            /*allow_exceptions=*/false);
  if (value.is_discarded()) {
    return absl::InvalidArgumentError("not one valid JSON value");
  }
  return value;
}

std::string DumpJson(const nlohmann::json& value) {
  return value.dump(/*indent=*/-1, /*indent_char=*/' ', /*ensure_ascii=*/false,
                    nlohmann::json::error_handler_t::replace);
}

}  // namespace lathe

// Text into HTML, safely.
#ifndef LATHE_CLIENT_CLI_HTML_H_
#define LATHE_CLIENT_CLI_HTML_H_

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"

namespace lathe {

// `text` as the content of an element or of a quoted attribute: & < > " ' are
// escaped, bytes that are not UTF-8 and control characters replaced.
std::string EscapeHtml(absl::string_view text);

// `value` as the content of a script element: no '<', '>' or '&' is left, so
// that no text in it can end the element.
std::string JsonForScript(const nlohmann::json& value);

// A table; every cell is escaped. A header that starts with '<' (the sign is
// not shown) is a column of text, others are of numbers.
class HtmlTable {
 public:
  explicit HtmlTable(const std::vector<std::string>& header);
  // REQUIRES: as many cells as the header has.
  void AddRow(const std::vector<std::string>& cells);
  std::string Render() const;

 private:
  std::vector<bool> is_text_;
  std::string head_;
  std::string body_;
};

}  // namespace lathe

#endif  // LATHE_CLIENT_CLI_HTML_H_

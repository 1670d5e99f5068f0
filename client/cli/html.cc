#include "client/cli/html.h"

#include <cassert>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "client/json_text.h"

namespace lathe {
namespace {

// Bytes that are not UTF-8 become U+FFFD, by way of JSON's own replacement.
std::string ValidUtf8(absl::string_view text) {
  const absl::StatusOr<nlohmann::json> value =
      ParseJson(DumpJson(std::string(text)));
  return value.ok() && value->is_string() ? value->get<std::string>() : "";
}

std::string Cell(absl::string_view tag, bool is_text,
                 absl::string_view content) {
  return absl::StrCat("<", tag, is_text ? " class=\"text\"" : "", ">",
                      EscapeHtml(content), "</", tag, ">");
}

}  // namespace

std::string EscapeHtml(absl::string_view text) {
  std::string escaped;
  for (const char c : ValidUtf8(text)) {
    switch (c) {
      case '&':
        escaped += "&amp;";
        break;
      case '<':
        escaped += "&lt;";
        break;
      case '>':
        escaped += "&gt;";
        break;
      case '"':
        escaped += "&quot;";
        break;
      case '\'':
        escaped += "&#39;";
        break;
      default:
        escaped += static_cast<unsigned char>(c) < 0x20 ? ' ' : c;
    }
  }
  return escaped;
}

std::string JsonForScript(const nlohmann::json& value) {
  return absl::StrReplaceAll(
      DumpJson(value), {{"<", "\\u003c"}, {">", "\\u003e"}, {"&", "\\u0026"}});
}

HtmlTable::HtmlTable(const std::vector<std::string>& header) {
  for (absl::string_view cell : header) {
    is_text_.push_back(!cell.empty() && cell[0] == '<');
    if (is_text_.back()) cell.remove_prefix(1);
    head_ += Cell("th", is_text_.back(), cell);
  }
}

void HtmlTable::AddRow(const std::vector<std::string>& cells) {
  assert(cells.size() == is_text_.size());
  body_ += "<tr>";
  for (size_t i = 0; i < cells.size(); ++i) {
    body_ += Cell("td", is_text_[i], cells[i]);
  }
  body_ += "</tr>\n";
}

std::string HtmlTable::Render() const {
  return absl::StrCat("<div class=\"scroll\"><table><thead><tr>", head_,
                      "</tr></thead>\n<tbody>\n", body_,
                      "</tbody></table></div>\n");
}

}  // namespace lathe

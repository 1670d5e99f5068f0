#include "client/worker/text_tail.h"

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"

namespace lathe {

void TextTail::Add(absl::string_view text) {
  for (const char c : text) {
    if (lines_.empty()) lines_.emplace_back();
    if (c == '\n') {
      if (!lines_.back().empty()) lines_.emplace_back();
      if (lines_.size() > kMostLines + 1) lines_.pop_front();
    } else if (lines_.back().size() < kMostLineBytes) {
      lines_.back().push_back(absl::ascii_isprint(c) ? c : '?');
    }
  }
}

void TextTail::Clear() { lines_.clear(); }

std::string TextTail::OneLine() const {
  std::string joined;
  for (const std::string& line : lines_) {
    if (line.empty()) continue;
    absl::StrAppend(&joined, joined.empty() ? "" : " | ", line);
  }
  return joined;
}

}  // namespace lathe

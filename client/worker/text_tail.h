// The last lines of a stream of text.
#ifndef LATHE_CLIENT_WORKER_TEXT_TAIL_H_
#define LATHE_CLIENT_WORKER_TEXT_TAIL_H_

#include <cstddef>
#include <deque>
#include <string>

#include "absl/strings/string_view.h"

namespace lathe {

// Remembers the last lines, each cut to a bound. Not thread-safe.
class TextTail {
 public:
  void Add(absl::string_view text);
  void Clear();
  // The lines joined by " | ", without characters that do not print; empty
  // when there are none.
  std::string OneLine() const;

 private:
  static constexpr size_t kMostLines = 8;
  static constexpr size_t kMostLineBytes = 240;

  // The last one is still being written.
  std::deque<std::string> lines_;
};

}  // namespace lathe

#endif  // LATHE_CLIENT_WORKER_TEXT_TAIL_H_

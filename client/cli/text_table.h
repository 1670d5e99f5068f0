// Tables for people.
#ifndef LATHE_CLIENT_CLI_TEXT_TABLE_H_
#define LATHE_CLIENT_CLI_TEXT_TABLE_H_

#include <string>
#include <utility>
#include <vector>

namespace lathe {

// Columns as wide as their widest cell, two spaces apart; a column whose
// header starts with '<' is left-aligned (the sign is not printed), others
// right-aligned. Bytes that would move the cursor are replaced by '?', since
// names come from others. Not thread-safe.
class TextTable {
 public:
  explicit TextTable(std::vector<std::string> header);

  // REQUIRES: as many cells as the header has.
  void AddRow(std::vector<std::string> cells);
  // Header and rows, each with its newline.
  std::string Render() const;

 private:
  std::vector<bool> is_left_;
  std::vector<std::vector<std::string>> rows_;
};

// `text` without control characters.
std::string Printable(std::string text);

}  // namespace lathe

#endif  // LATHE_CLIENT_CLI_TEXT_TABLE_H_

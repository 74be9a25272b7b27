// ctl/table.h - aligned columns for people.
//
// Collects rows, then prints them all: a column is as wide as its widest cell. The last column is
// never padded, so no line ends in blanks. Colour is the caller's choice and touches headings only.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace holdfast::ctl {

enum class Align : uint8_t { left, right };

struct Column {
  std::string heading;
  Align align = Align::left;
};

class Table {
 public:
  explicit Table(std::vector<Column> columns) : columns_(std::move(columns)) {}
  // As many cells as there are columns.
  void row(std::vector<std::string> cells);
  bool empty() const { return rows_.empty(); }
  std::string text(bool colour = false) const;

 private:
  std::vector<size_t> widths() const;
  std::string line(const std::vector<std::string>& cells, const std::vector<size_t>& widths) const;

  std::vector<Column> columns_;
  std::vector<std::vector<std::string>> rows_;
};

// Names and values one below the other, values aligned: for one thing at a time.
std::string name_value_lines(const std::vector<std::pair<std::string, std::string>>& lines);

}  // namespace holdfast::ctl

// ctl/table.h - aligned columns for people.
//
// Collects rows, then prints them: a column is as wide as its widest cell. The last column is never
// padded, so no line ends in blanks. A long list is printed in pages, whose columns never become
// narrower again.
//
// If the terminal is too narrow, columns that may shrink do so, the last first, and their cells
// are cut; if that is not enough, the last columns are left out (left_out() names them). So the
// columns stand in the order of their importance.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "ctl/screen.h"

namespace holdfast::ctl {

enum class Align : uint8_t { left, right };

struct Column {
  std::string heading;
  Align align = Align::left;
  size_t narrowest = 0;  // may shrink to this; 0: may not
};

class Table {
 public:
  explicit Table(std::vector<Column> columns)
      : columns_(std::move(columns)), widest_(columns_.size(), 0) {}
  // As many cells as there are columns.
  void row(std::vector<std::string> cells);
  bool empty() const { return rows_.empty(); }
  // The heading and all rows.
  std::string text(const Style& style = {});
  // The rows since the last page, the heading with the first one; they are forgotten then.
  std::string page(const Style& style = {});
  // Headings of the columns that did not fit, "" if all did.
  std::string left_out() const;

 private:
  // Of the columns that are shown.
  std::vector<size_t> fit(size_t width);
  std::string line(const std::vector<std::string>& cells, const std::vector<size_t>& widths) const;

  std::vector<Column> columns_;
  std::vector<size_t> widest_;  // cell so far
  std::vector<std::vector<std::string>> rows_;
  size_t shown_ = 0;  // columns
  bool headed_ = false;
};

// Names and values one below the other, values aligned: for one thing at a time.
std::string name_value_lines(const std::vector<std::pair<std::string, std::string>>& lines);

}  // namespace holdfast::ctl

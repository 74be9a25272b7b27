#include "ctl/table.h"

#include <algorithm>

#include "base/check.h"
#include "ctl/units.h"

namespace holdfast::ctl {

void Table::row(std::vector<std::string> cells) {
  HF_CHECK(cells.size() == columns_.size());
  rows_.push_back(std::move(cells));
}

std::vector<size_t> Table::widths() const {
  std::vector<size_t> widths;
  for (size_t c = 0; c < columns_.size(); ++c) {
    size_t width = display_width(columns_[c].heading);
    for (const auto& cells : rows_) width = std::max(width, display_width(cells[c]));
    widths.push_back(width);
  }
  return widths;
}

std::string Table::line(const std::vector<std::string>& cells,
                        const std::vector<size_t>& widths) const {
  std::string out;
  for (size_t c = 0; c < cells.size(); ++c) {
    if (c > 0) out += "  ";
    std::string blanks(widths[c] - display_width(cells[c]), ' ');
    if (columns_[c].align == Align::right) out += blanks;
    out += cells[c];
    if (columns_[c].align == Align::left) out += blanks;
  }
  out.erase(out.find_last_not_of(' ') + 1);
  return out;
}

std::string Table::text(bool colour) const {
  std::vector<size_t> wide = widths();
  std::vector<std::string> headings;
  for (const Column& column : columns_) headings.push_back(column.heading);
  std::string head = line(headings, wide);
  std::string out = colour ? "\033[1m" + head + "\033[0m\n" : head + "\n";
  for (const auto& cells : rows_) out += line(cells, wide) + "\n";
  return out;
}

std::string name_value_lines(const std::vector<std::pair<std::string, std::string>>& lines) {
  size_t width = 0;
  for (const auto& [name, value] : lines) width = std::max(width, display_width(name));
  std::string out;
  for (const auto& [name, value] : lines) {
    out.append(name).append(width - display_width(name) + 2, ' ');
    out.append(value).append("\n");
  }
  return out;
}

}  // namespace holdfast::ctl
